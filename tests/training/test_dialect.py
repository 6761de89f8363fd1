"""Configs as other projects publish them, with paths, network and iterations changed: taken, or refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from lsm.errors import OptionError
from lsm.training.options import read_options


def metrics(border: int, channel: bool = True) -> dict[str, Any]:
    common = {"crop_border": border, "test_y_channel": channel, "better": "higher"}
    return {"psnr": {"type": "calculate_psnr"} | common, "ssim": {"type": "calculate_ssim"} | common}


@pytest.fixture
def published(tmp_path) -> dict[str, Any]:
    """A training at scale 2 as HAT, SwinIR, MambaIR and BasicSR write it, key for key."""
    for name in ("HR", "LR", "HR2", "LR2"):
        (tmp_path / name).mkdir()
    (tmp_path / "listing.txt").write_text("a.png (40,40,3)\n")
    (tmp_path / "net.pth").touch()
    roots = {"dataroot_gt": str(tmp_path / "HR"), "dataroot_lq": str(tmp_path / "LR")}
    pairs = {"type": "PairedImageDataset", **roots, "io_backend": {"type": "disk"}}
    return {
        "name": "published",
        "model_type": "SRModel",
        "scale": 2,
        "num_gpu": "auto",
        "manual_seed": 0,
        "datasets": {
            "train": {
                **{"name": "DF2K", "gt_size": 128, "use_hflip": True, "use_rot": True, "use_shuffle": True},
                **{"num_worker_per_gpu": 6, "batch_size_per_gpu": 4, "dataset_enlarge_ratio": 1, "prefetch_mode": None},
                **pairs,
            },
            "val_1": {"name": "Set5", **pairs},
            "val_2": {"name": "Set14", **pairs},
        },
        "network_g": {"type": "LSM", "variant": "tiny", "upscale": 2},
        "path": {"pretrain_network_g": None, "strict_load_g": True, "resume_state": None},
        "train": {
            "ema_decay": 0.999,
            "optim_g": {"type": "Adam", "lr": 2e-4, "weight_decay": 0, "betas": [0.9, 0.99]},
            "scheduler": {"type": "MultiStepLR", "milestones": [250000, 400000], "gamma": 0.5},
            "total_iter": 3,
            "warmup_iter": -1,
            "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
        },
        "val": {"val_freq": 5e3, "save_img": False, "pbar": False, "metrics": metrics(2)},
        "logger": {
            **{"print_freq": 100, "save_checkpoint_freq": 5e3, "use_tb_logger": True},
            "wandb": {"project": None, "resume_id": None},
        },
        "dist_params": {"backend": "nccl", "port": 29500},
    }


@pytest.fixture
def read(tmp_path, published):
    """Read the file; the notes are under the key `notes`."""

    def read(*forced: str, training: bool = True) -> dict[str, Any]:
        path, notes = tmp_path / "file.yml", []
        content = copy.deepcopy(published)
        if not training:
            del content["train"], content["logger"], content["dist_params"], content["val"]["val_freq"]
            content["datasets"] = {f"test_{phase[-1]}": data for phase, data in content["datasets"].items()}
            del content["datasets"]["test_n"]
        path.write_text(yaml.safe_dump(content))
        return read_options(path, forced, training, notes.append) | {"notes": notes}

    return read


def refusal(read, *forced: str, training: bool = True) -> list[str]:
    with pytest.raises(OptionError) as caught:
        read(*forced, training=training)
    return [line.partition(": ")[2] for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["SRModel", "SwinIRModel", "HATModel", "MambaIRModel", "MambaIRv2Model"])
def test_models_of_other_projects_count_as_ours(read, kind, training):
    options = read(f"model_type={kind}", "tile={tile_size: 256, tile_pad: 32}", training=training)
    assert options["model_type"] == "LSMModel"
    assert options["notes"] == [f"model_type: {kind} counts as LSMModel"]


def test_our_own_file_is_read_without_a_word(read, published):
    assert read("model_type=LSMModel")["notes"] == []


def test_without_a_decay_there_is_no_average_where_basicsr_has_none(read, published):
    del published["train"]["ema_decay"]
    options = read()
    assert options["train"]["ema_decay"] == 0
    assert options["notes"][1] == "train.ema_decay: 0, as BasicSR trains where a file gives none"
    assert read("model_type=LSMModel")["train"]["ema_decay"] == 0.999


def test_a_foreign_name_is_no_typo_of_ours(read):
    (line,) = refusal(read, "model_type=OmniSRModel")
    assert "'OmniSRModel' is no model that is known here" in line and "Did you mean" not in line
    (line,) = refusal(read, "network_g:type=HAT")
    assert "'HAT' is no network" in line and "Did you mean" not in line


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("RealESRNetModel", "DegradedPairs"),
        ("RealHATGANModel", "DegradedPairs"),
        ("VideoRecurrentModel", "sequences of frames"),
        ("StyleGAN2Model", "no super-resolution"),
    ],
)
def test_other_kinds_of_training_are_refused_in_one_line(read, published, kind, reason):
    published |= {"model_type": kind, "gt_usm": True, "resize_prob": [0.2, 0.7, 0.1], "network_d": {"type": "UNet"}}
    (line,) = refusal(read)
    assert line.startswith(f"model_type: {kind} ") and reason in line


def test_a_test_needs_no_discriminator(read):
    for kind in ("SRGANModel", "ESRGANModel", "RealESRGANModel"):
        assert read(f"model_type={kind}", training=False)["model_type"] == "LSMModel"


def test_lists_of_folders(read, published, tmp_path):
    lists = {key: [str(tmp_path / name), str(tmp_path / f"{name}2")] for key, name in (("gt", "HR"), ("lq", "LR"))}
    published["datasets"]["train"] |= {"dataroot_gt": lists["gt"], "dataroot_lq": lists["lq"]}
    assert read()["datasets"]["train"]["dataroot_gt"] == lists["gt"]
    published["datasets"]["train"]["dataroot_lq"] = lists["lq"][:1]
    assert refusal(read) == ["datasets.train: dataroot_gt and dataroot_lq must be equally many folders"]
    published["datasets"]["train"]["dataroot_lq"] = [lists["lq"][0], "no/where"]
    assert refusal(read) == ["datasets.train.dataroot_lq: the folder no/where does not exist"]
    published["datasets"]["train"]["dataroot_lq"] = []
    assert refusal(read) == ["datasets.train.dataroot_lq: a folder is needed, or a list of folders"]


def test_ways_of_testing(read, published):
    published["val"] |= {"selfensemble_testing": True, "patchwise_testing": False}
    val = read(training=False)["val"]
    assert (val["self_ensemble"], val["use_chop"]) == (True, False)
    published["val"] |= {"selfensemble_testing": False, "patchwise_testing": True}
    val = read(training=False)["val"]
    assert (val["self_ensemble"], val["use_chop"]) == (False, True)


def test_save_img_at_the_top(read, published):
    del published["val"]["save_img"]
    assert read("save_img=true")["val"]["save_img"]
    published["val"]["save_img"] = False
    assert refusal(read, "save_img=true") == ["save_img: val.save_img says otherwise; keep that one"]


def test_luma_is_refused_with_what_to_write(read, published):
    for phase in ("train", "val_1"):
        published["datasets"][phase]["color"] = "y"
    lines = refusal(read)
    assert [line.split(":")[0] for line in lines] == ["datasets.train.color", "datasets.val_1.color"]
    assert all("test_y_channel: true" in line for line in lines)
    for phase in ("train", "val_1"):
        published["datasets"][phase]["color"] = "n"
    read()


@pytest.mark.parametrize("task", ["SR", "classical_sr", "lightweight_sr", "real_sr", "lightSR"])
def test_tasks_of_upscaling_say_nothing_new(read, published, task):
    published["datasets"]["train"]["task"] = task
    assert read()["datasets"]["train"]["type"] == "ImagePairs"


@pytest.mark.parametrize(("task", "grey"), [("denoising_color", 0.0), ("color_dn", 0.0), ("gray_dn", 1.0)])
def test_denoising_makes_its_noise(read, published, task, grey):
    published |= {"scale": 1, "network_g": {"type": "LSM", "variant": "tiny", "upscale": 1}}
    for images in published["datasets"].values():
        images |= {"task": task, "noise": 15, "filename_tmpl": "{}"}
    options = read()
    assert options["network_g"]["task"] == "denoise"
    for images in options["datasets"].values():
        assert (images["type"], images["sigma"], images["grey"]) == ("NoisyImages", 15, grey)
        assert "dataroot_lq" not in images
    assert "val" not in options["notes"][-1] or "NoisyImages" in options["notes"][-1]
    assert read("network_g:variant=tiny", training=False)["network_g"]["task"] == "denoise"


@pytest.mark.parametrize("task", ["CAR", "jpeg_car", "color_jpeg_car"])
def test_compressed_images_come_from_their_files(read, published, task):
    published |= {"scale": 1, "network_g": {"type": "LSM", "variant": "tiny", "upscale": 1}}
    for images in published["datasets"].values():
        images |= {"task": task, "gt_size": 126} if "gt_size" in images else {"task": task}
    options = read()
    assert options["network_g"]["task"] == "jpeg"
    assert options["datasets"]["train"]["dataroot_lq"].endswith("LR")


def test_an_unknown_task_is_refused_with_the_known_ones(read, published):
    published["datasets"]["train"]["task"] = "inpainting"
    (line,) = refusal(read)
    assert line.startswith("datasets.train.task: 'inpainting'") and "denoising_color" in line


def test_charbonnier_takes_its_eps(read):
    loss = read("train:pixel_opt={type: CharbonnierLoss, loss_weight: 1.0, reduction: mean, eps: 1e-3}")["train"]
    assert loss["pixel_opt"]["eps"] == 1e-3
    assert "eps" not in read()["train"]["pixel_opt"]
    assert refusal(read, "train:pixel_opt:eps=1e-3") == ["train.pixel_opt: only CharbonnierLoss takes eps"]


def test_older_keys_of_basicsr(read, published, tmp_path):
    published["datasets"]["train"]["use_flip"] = published["datasets"]["train"].pop("use_hflip")
    published["path"] = {"pretrain_model_g": str(tmp_path / "net.pth"), "strict_load": False}
    options = read()
    assert options["datasets"]["train"]["use_hflip"] is True
    assert options["path"]["pretrain_network_g"] == str(tmp_path / "net.pth")
    assert options["path"]["strict_load_g"] is False
    assert options["notes"][1:] == [
        "path.pretrain_model_g: taken for pretrain_network_g",
        "path.strict_load: taken for strict_load_g",
        "datasets.train.use_flip: taken for use_hflip",
    ]


def test_imagenet_of_hat_is_made_by_bicubic(read, published, tmp_path):
    images = published["datasets"]["train"]
    images |= {"type": "ImageNetPairedDataset", "dataroot_lq": images["dataroot_gt"]}
    images["meta_info_file"] = str(tmp_path / "listing.txt")
    options = read()["datasets"]["train"]
    assert options["type"] == "ImagePairs" and "dataroot_lq" not in options


def test_templates_of_names_need_no_quotes(read, published):
    for text in ("{}x4", "{}_LRBI_x4", "{}", "x{}"):
        options = read(f"datasets:train:filename_tmpl={text}")
        assert options["datasets"]["train"]["filename_tmpl"] == text


def test_the_published_samples(tmp_path, published, shared):
    """Files of HAT, MambaIR, SwinIR and the official LSM, with folders that are there."""
    files = sorted((shared / "cases" / "options").glob("*.yml"))
    assert len(files) >= 7
    for file in files:
        text = yaml.safe_load(file.read_text())
        for images in text["datasets"].values():
            for key in {"dataroot_gt", "dataroot_lq"} & images.keys():
                images[key] = [str(tmp_path)] if isinstance(images[key], list) else str(tmp_path)
            if "meta_info_file" in images:
                images["meta_info_file"] = str(tmp_path / "listing.txt")
        copied = tmp_path / file.name
        copied.write_text(yaml.safe_dump(text))
        assert read_options(copied, training="train" in text)["model_type"] == "LSMModel"
