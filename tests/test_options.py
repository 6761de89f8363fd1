"""Every config of the repository, and what the checks say about wrong ones."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from stress.bombs import option_bombs
from stress.options import OUTSIDE, try_outside, try_text, wrong_options

from lsm.errors import OptionError
from lsm.training.arch import LSM
from lsm.training.options import force, parse_yaml, read_options

OPTIONS = Path(__file__).parents[1] / "options"
TRAINING = sorted((OPTIONS / "train").glob("*.yml"))
TESTING = sorted((OPTIONS / "test").glob("*.yml"))
PARAMETERS = {  # as published
    "light": {2: 763_344, 3: 771_459, 4: 782_820},
    "s": {2: 9_716_387, 3: 9_901_027, 4: 9_864_099},
    "base": {2: 12_771_607, 3: 12_956_247, 4: 12_919_319},
}


@pytest.fixture
def files_in_place(tmp_path, monkeypatch):
    """Work in a folder that has all data sets and networks which the configs name."""
    monkeypatch.chdir(tmp_path)
    for path in (*TRAINING, *TESTING):
        content = yaml.safe_load(path.read_text())
        for settings in content["datasets"].values():
            for key in {"dataroot_gt", "dataroot_lq"} & settings.keys():
                (tmp_path / settings[key]).mkdir(parents=True, exist_ok=True)
        teacher = (content.get("train", {}).get("teacher") or {}).get("path")
        for weights in (content.get("path", {}).get("pretrain_network_g"), teacher):
            if weights and "/" in weights:
                (tmp_path / weights).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / weights).touch()


def test_every_preset_scale_and_stage_has_its_files():
    presets = {f"{variant}_x{scale}" for variant in ("light", "s", "base") for scale in (2, 3, 4)}
    tiny = {f"tiny_{each}" for each in ("x2", "x3", "x4", "denoise", "denoise25")}
    assert {path.stem for path in TESTING} == presets | tiny | {"fast_x4", "fast_jpeg"}
    stages = {f"{name}_{stage}" for name in presets for stage in ("scratch", "finetune")}
    official = {f"{name}_official" for name in stages if name.endswith("finetune") or "x2_scratch" in name}
    further = {f"tiny_x{scale}_{stage}" for scale in (2, 3, 4) for stage in ("finetune", "third", "muon")}
    fast = {f"fast_{each}" for each in ("x2", "x3", "x4", "denoise", "jpeg")} | {"photo_x2", "photo_x4"}
    nano = {f"nano_x{scale}" for scale in (2, 3, 4)}
    gpu = {f"{each}_gpu" for each in ("fast_x2", "fast_x3", "fast_x4", "photo_x2", "photo_x4")}
    assert {path.stem for path in TRAINING} == stages | official | tiny | further | fast | nano | gpu


@pytest.mark.parametrize("path", [*TRAINING, *TESTING], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_file_is_valid_and_builds_its_network(path, files_in_place):
    options = read_options(path, training=path.parent.name == "train")
    variant, purpose = path.stem.split("_")[:2]
    scale = int(purpose[1:]) if purpose.startswith("x") else 1
    assert options["scale"] == scale
    settings = {key: value for key, value in options["network_g"].items() if key != "type"}
    with torch.device("meta"):
        network = LSM(**settings)
    assert network.config.upscale == scale
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == PARAMETERS[variant][scale] if variant in PARAMETERS else count <= 250_000
    # What is upscaled is measured without as many pixels at the border; what is restored, whole.
    assert {metric["crop_border"] for metric in options["val"]["metrics"].values()} == {scale if scale > 1 else 0}
    assert scale > 1 or purpose.startswith(network.config.task)


OFFICIAL = [path for path in TRAINING if path.stem.endswith("_official")]
OF_THE_PAPER = [path for path in TRAINING if path.stem.split("_")[0] in PARAMETERS and path not in OFFICIAL]


@pytest.mark.parametrize("path", OF_THE_PAPER, ids=lambda path: path.stem)
def test_recipe_of_the_paper(path, files_in_place):
    options = read_options(path)
    light, finetune = path.stem.startswith("light"), path.stem.endswith("finetune")
    train, images, scale = options["train"], options["datasets"]["train"], options["scale"]
    assert images["batch_size"] == (64 if light else 32)
    assert ("DIV2K" if light else "DF2K") in images["dataroot_gt"]
    patch = (92 if path.stem.startswith("base_x4") else 96) if finetune else 64
    assert images["gt_size"] == patch * scale
    assert train["optim_g"] == {
        "type": "AdamW",
        "lr": 1e-4 if finetune and not light else 2e-4,
        "weight_decay": 0.0,
        "betas": (0.9, 0.9),
        "eps": 1e-8,
    }
    assert train["ema_decay"] == 0.999
    assert train["total_iter"] == (250_000 if finetune else 300_000)
    assert train["warmup_iter"] == (10_000 if finetune else -1)
    milestones = [125_000, 200_000, 225_000, 237_500] if finetune else [250_000, 400_000, 450_000, 475_000]
    assert train["scheduler"]["milestones"] == milestones and train["scheduler"]["gamma"] == 0.5
    if finetune:
        start = path.with_name(f"{path.stem.split('_')[0]}_x2_scratch.yml")
        assert options["path"]["pretrain_network_g"].split("/")[1] == read_options(start)["name"]
        assert options["path"]["strict_load_g"] == (scale == 2)


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: path.stem)
def test_recipe_of_the_official_files(path, files_in_place):
    """What the official files say, where that is not what the paper says; all else is as in the paper's recipe."""
    options, paper = read_options(path), read_options(path.with_name(f"{path.stem.removesuffix('_official')}.yml"))
    light, base = path.stem.startswith("light"), path.stem.startswith("base")
    scratch, scale = "scratch" in path.stem, options["scale"]
    train, images = options["train"], options["datasets"]["train"]
    assert images.pop("batch_size_per_gpu") * (4 if light else 8) == paper["datasets"]["train"].pop("batch_size")
    assert options["manual_seed"] == 10
    if scratch:
        assert train.pop("warmup_iter") == (20_000 if light else -1)
        milestones = [250_000, 400_000, 450_000, 475_000, *([490_000] if light else [])]
        assert train["scheduler"]["milestones"] == milestones and train["total_iter"] == 300_000
    else:
        assert train.pop("warmup_iter") == 10_000
        milestones = [120_000, 160_000, 180_000, 190_000] if scale == 2 else [125_000, 200_000, 225_000, 237_500]
        assert train["scheduler"]["milestones"] == milestones
        assert train["total_iter"] == (200_000 if scale == 2 else 250_000)
        assert train["optim_g"]["lr"] == (1e-4 if scale == 4 and not light else 2e-4)
        assert images["gt_size"] == (92 if base else 96) * scale
        stage, label = ("scratch", "latest") if scale == 2 else ("finetune", "best")
        start = path.with_name(f"{path.stem.split('_')[0]}_x2_{stage}_official.yml")
        file = f"experiments/{read_options(start)['name']}/models/net_g_{label}.pth"
        assert options["path"]["pretrain_network_g"] == file
    for key in ("total_iter", "warmup_iter", "scheduler", "optim_g"):
        paper["train"].pop(key, None)
        train.pop(key, None)
    paper["datasets"]["train"]["gt_size"] = images["gt_size"]
    assert train == paper["train"] and images == paper["datasets"]["train"]
    assert options["network_g"] == paper["network_g"]


OFFICIAL_NETWORKS = {  # as the official files write them
    "light": {
        "type": "LSM_light",
        "upscale": 2,
        "in_chans": 3,
        "img_size": 64,
        "img_range": 1.0,
        "d_state": 16,
        "embed_dim": 60,
        "depth": [6, 6, 6, 6],
        "num_heads": [4, 4, 4, 4],
        "mlp_ratio": 1.0,
        "split_size": [8, 32],
        "num_tokens": 64,
        "resi_connection": "1conv",
        "rmin": 0.9,
        "rmax": 0.99,
        "max_phase": 6.283,
    }
}
OFFICIAL_NETWORKS["base"] = OFFICIAL_NETWORKS["light"] | {
    "type": "LSM",
    "embed_dim": 180,
    "depth": [5] * 8,
    "num_heads": [5] * 8,
    "mlp_ratio": 2.0,
    "num_tokens": 128,
}
del OFFICIAL_NETWORKS["base"]["d_state"]
OFFICIAL_NETWORKS["s"] = OFFICIAL_NETWORKS["base"] | {"depth": [5] * 6, "num_heads": [5] * 6}


@pytest.mark.parametrize("variant", OFFICIAL_NETWORKS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_networks_of_official_files_are_the_presets(read, content, variant, scale):
    content["scale"], content["datasets"]["train"]["gt_size"] = scale, 48
    content["network_g"] = OFFICIAL_NETWORKS[variant] | {"upscale": scale}
    settings = {key: value for key, value in read()["network_g"].items() if key != "type"}
    with torch.device("meta"):
        network = LSM(**settings)
        preset = LSM(variant=variant, upscale=scale, recurrence="official")
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[variant][scale]
    assert network.config == preset.config
    assert read("network_g:recurrence=paper")["network_g"]["recurrence"] == "paper"


@pytest.mark.parametrize(
    ("forced", "message"),
    [
        ("num_tokens=60", "network_g.num_tokens: 60 is not four times d_state, 16"),
        ("rmin=0.5", "network_g.rmin: only 0.9, the published networks' value, is built here (got 0.5)."),
        ("resi_connection=3conv", "network_g.resi_connection: only 1conv"),
        ("num_heads=[4, 6, 4, 4]", "network_g.num_heads: all groups have equally many heads here"),
        ("depht=[6]", "network_g: Unknown option of LSM 'depht'. Did you mean 'depths'?"),
    ],
)
def test_what_of_an_official_network_is_not_built(read, content, forced, message):
    content["network_g"] = OFFICIAL_NETWORKS["light"]
    with pytest.raises(OptionError) as caught:
        read(f"network_g:{forced}")
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.fixture
def content(tmp_path) -> dict[str, Any]:
    return {
        "name": "a",
        "scale": 2,
        "datasets": {"train": {"dataroot_gt": str(tmp_path), "gt_size": 64, "batch_size": 4}},
        "network_g": {"type": "LSM", "variant": "tiny", "upscale": 2},
        "train": {
            "total_iter": 10,
            "optim_g": {"lr": 1e-4},
            "scheduler": {"type": "MultiStepLR", "milestones": [5]},
        },
    }


@pytest.fixture
def read(tmp_path, content):
    def read(*forced: str, training: bool = True) -> dict[str, Any]:
        path = tmp_path / "file.yml"
        path.write_text(yaml.safe_dump(content))
        return read_options(path, forced, training)

    return read


@pytest.mark.parametrize(
    ("forced", "message"),
    [
        ("nmae=x", "Unknown key 'nmae'. Did you mean 'name'?"),
        ("train:optim_g:weigth_decay=0", "train.optim_g: Unknown key 'weigth_decay'. Did you mean 'weight_decay'?"),
        ("train:scheduler:milestone=[3]", "train.scheduler: Unknown key 'milestone'. Did you mean 'milestones'?"),
        ("train:scheduler:type=MultiStep", "train.scheduler.type: Unknown value 'MultiStep'. Did you mean 'Multi"),
        ("train:scheduler={periods: [3]}", "train.scheduler.type: Field required"),
        ("train:optim_g:type=AdamX", "train.optim_g.type: Unknown value 'AdamX'. Did you mean 'Adam'?"),
        ("datasets:train:gt_sise=4", "datasets.train: Unknown key 'gt_sise'. Did you mean 'gt_size'?"),
        ("datasets:train:gt_size=63", "datasets.train.gt_size: 63 is not a multiple of scale 2"),
        ("datasets:train:gt_size=big", "datasets.train.gt_size: Input should be a valid integer"),
        ("datasets:train:dataroot_gt=no/where", "datasets.train.dataroot_gt: the folder no/where does not exist"),
        (
            "datasets:train:batch_size_per_gpu=4",
            "datasets.train: give either batch_size (global) or batch_size_per_gpu",
        ),
        ("datasets:trian={}", "datasets: Unknown dataset 'trian'. Did you mean 'train'?"),
        ("datasets:val:type=SingleImageDataset", "datasets.val: SingleImages needs dataroot_lq"),
        ("datasets:train=null", "datasets.train: Field required"),
        ("network_g:variant=lite", "network_g: Unknown variant of LSM 'lite'. Did you mean 'light'?"),
        ("network_g:embed_dims=60", "network_g: Unknown option of LSM 'embed_dims'. Did you mean 'embed_dim'?"),
        ("network_g:embed_dim=wide", "network_g: Option embed_dim of LSM must be of type int, not 'wide'."),
        ("network_g:upscale=4", "network_g.upscale: 4 is not the file's scale, 2"),
        ("network_g:type=HAT", "network_g.type: 'HAT' is no network of this package or of BasicSR's; name the"),
        ("scale=5", "scale: Input should be 1, 2, 3, 4 or 8 (got 5)"),
        ("num_gpu=some", "num_gpu: "),
        ("train:optim_g:lr=0", "train.optim_g.lr: Input should be greater than 0"),
        ("train:optim_g:lr=null", "train.optim_g.lr: Input should be a valid number"),
        ("path:pretrain_network_g=no.pth", "path.pretrain_network_g: the file no.pth does not exist"),
        ("val:metrics:psnr={type: psnr, crop_border: 2}", "val.metrics.psnr.type: Unknown value 'psnr'"),
        ("val:metrics:psnr={type: calculate_psnr}", "val.metrics.psnr.crop_border: Field required"),
        ("use_amp=true bfloat16=false", "mixed precision is bfloat16 here"),
        ("logger:wandb:project=x", "wandb.project needs use_tb_logger"),
        ("model_type=LSMModle", "model_type: 'LSMModle' is no model that is known here; LSMModel trains one network"),
    ],
)
def test_mistakes_are_one_clear_line(read, forced, message):
    entries = forced.split() if forced.startswith("use_amp") else [forced]
    with pytest.raises(OptionError) as caught:
        read(*entries)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_all_mistakes_are_told_at_once(read):
    with pytest.raises(OptionError) as caught:
        read("scael=2", "train:total_iter=many", "datasets:train:dataroot_gt=none", "network_g:variant=x")
    assert len(str(caught.value).splitlines()) == 4


def test_of_many_mistakes_the_first_are_told_and_the_rest_counted(read, content):
    content["logger"] = dict.fromkeys((f"key{number}" for number in range(30)), 1)
    with pytest.raises(OptionError) as caught:
        read()
    (line,) = str(caught.value).splitlines()
    assert line.count("Unknown key") == 10 and line.endswith("; and 20 more mistakes")
    del content["logger"]
    content["train"]["scheduler"] = {"type": "MultiStepLR", "milestones": ["soon"] * 60}
    with pytest.raises(OptionError) as caught:
        read()
    *told, rest = str(caught.value).splitlines()
    assert len(told) == 50 and rest.endswith(": and 10 more mistakes")


def test_unknown_file_and_broken_yaml(tmp_path):
    with pytest.raises(OptionError, match=r"Cannot read the config .*none\.yml: No such file"):
        read_options(tmp_path / "none.yml")
    for text, message in (("a: [1", "not valid YAML"), ("- 1", "a mapping"), ("a: 1\nb: {c: 2, c: 3}", "'c' twice")):
        path = tmp_path / "broken.yml"
        path.write_text(text)
        with pytest.raises(OptionError, match=message):
            read_options(path)


@pytest.mark.parametrize("text", option_bombs().values(), ids=list(option_bombs()))
def test_bombs_and_odd_texts_are_refused_in_few_lines(tmp_path, text):
    path = tmp_path / "bomb.yml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    with pytest.raises(OptionError) as caught:
        read_options(path)
    assert len(str(caught.value)) < 10_000
    assert len(str(caught.value).splitlines()) <= 51


def test_aliases_are_fine_in_measure(tmp_path):
    assert parse_yaml("a: &a {k: 1}\nb: {<<: *a, m: 2}\nc: *a", "x")["b"] == {"k": 1, "m": 2}


@pytest.mark.parametrize("seed", range(60))
def test_wrong_values_anywhere_are_told(tmp_path, seed):
    kind, said = try_text(tmp_path, yaml.safe_dump(wrong_options(tmp_path, random.Random(seed))))
    assert kind != "wrong", said


@pytest.mark.parametrize("key", ["name", "val:suffix", "datasets:train:name", "datasets:train:filename_tmpl"])
def test_names_cannot_lead_outside(tmp_path, key):
    for value in (*OUTSIDE, *(("{0.__class__}", "{:>99999999}", "{}{}") if key.endswith("tmpl") else ())):
        kind, _ = try_outside(tmp_path, (key, value))
        assert kind == "refused", value


def test_missing_wandb_is_told_before_training(read, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"logger: wandb\.project needs wandb, which is not installed"):
        read("logger={use_tb_logger: true, wandb: {project: x}}")


@pytest.mark.parametrize("text", ["2e-4", "2E-4", ".2e-3", "'2e-4'", "!!float 2e-4", "0.0002", "+2.e-4"])
def test_floats_in_every_spelling(read, text):
    assert read(f"train:optim_g:lr={text}")["train"]["optim_g"]["lr"] == 2e-4


@pytest.mark.parametrize(
    "value",
    ["__import__('os').mkdir('made')", "!!python/object/apply:os.mkdir [made]", "[__import__('os').mkdir('x')]"],
)
def test_forced_values_and_keys_are_never_run(read, tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    for entry in (f"name={value}", f"name\"]; __import__('os').mkdir('made'); opt[\"x={value}"):
        with contextlib.suppress(OptionError):
            assert isinstance(read(entry)["name"], str)
    assert [path.name for path in tmp_path.iterdir()] == ["file.yml"]


def test_force_sets_nested_keys_and_makes_sections():
    options = {"train": {"optim_g": {"lr": 1}}}
    entries = ["train:optim_g:lr=3e-4", "val:metrics:psnr={crop_border: 4}", "name= x=y ", "list=[1, 2.5, yes]"]
    force(options, [*entries, "tmpl={}x4", "sets:tmpl={}_LRBI_x4", "empty={}"])
    assert options == {
        "tmpl": "{}x4",
        "sets": {"tmpl": "{}_LRBI_x4"},
        "empty": {},
        "train": {"optim_g": {"lr": 3e-4}},
        "val": {"metrics": {"psnr": {"crop_border": 4}}},
        "name": "x=y",
        "list": [1, 2.5, True],
    }
    for wrong in ("train", "=3", "name:a=3"):
        with pytest.raises(OptionError, match="`force_yml`"):
            force(options, [wrong])


def test_keys_of_basicsr_files_are_accepted(read, content, tmp_path):
    """A file in BasicSR's dialect, with its own dataset classes and per-GPU batch."""
    content |= {
        "model_type": "LSMModel",
        "num_gpu": 8,
        "manual_seed": 10,
        "dist_params": {"backend": "nccl", "port": 29500},
    }
    content["datasets"]["train"] = {
        "name": "DF2K",
        "type": "PairedImageDataset",
        "task": "SR",
        "dataroot_gt": str(tmp_path),
        "dataroot_lq": str(tmp_path),
        "filename_tmpl": "{}x2",
        "io_backend": {"type": "disk"},
        "gt_size": 128,
        "use_hflip": True,
        "use_rot": True,
        "use_shuffle": True,
        "num_worker_per_gpu": 6,
        "batch_size_per_gpu": 4,
        "dataset_enlarge_ratio": 1,
        "prefetch_mode": None,
    }
    content["path"] = {
        "pretrain_network_g": None,
        "strict_load_g": True,
        "resume_state": None,
        "param_key_g": "params_ema",
    }
    content["val"] = parse_yaml("{val_freq: 5e3, save_img: false, pbar: false, suffix: ~, use_chop: false}", "here")
    content["tile"] = {"tile_size": 256, "tile_pad": 32}
    content["logger"] = {"print_freq": 100, "save_checkpoint_freq": 5000, "use_tb_logger": True}
    content["logger"]["wandb"] = {"project": None, "resume_id": None}
    options = read()
    assert options["datasets"]["train"]["batch_size_per_gpu"] == 4
    assert options["val"]["val_freq"] == 5000
