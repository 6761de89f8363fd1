"""Networks, losses, data sets and metrics that BasicSR or a user's own module registers."""

from __future__ import annotations

import itertools
import re
import sys

import numpy as np
import pytest
import torch
import yaml
from small_training import smooth_image

from lsm.cli import main
from lsm.errors import OptionError
from lsm.image.io import read_rgb, write_image
from lsm.image.resize import imresize
from lsm.metrics import psnr
from lsm.training import launch
from lsm.training.compat import build_network
from lsm.training.foreign import PaddedNetwork, find_multiple
from lsm.training.options import read_options

BASELINES = {  # with what their sides must be multiples of, at scale 2
    "EDSR": ({"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 1}, 1),
    "RRDBNet": ({"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 1, "num_grow_ch": 4}, 2),
    "SwinIR": (
        {"embed_dim": 8, "depths": [1], "num_heads": [2], "window_size": 4, "img_size": 8, "mlp_ratio": 2}
        | {"upsampler": "pixelshuffledirect"},
        4,
    ),
    "SRVGGNetCompact": ({"num_feat": 8, "num_conv": 1}, 1),
}
METRIC = {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}}


@pytest.fixture
def short(content, images, tmp_path, monkeypatch):
    """A training of two iterations with a validation at the end, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    content["train"]["total_iter"] = 2
    content["datasets"]["train"]["batch_size"] = 2
    content["datasets"]["val"] = {"name": "same", "dataroot_gt": str(images)}
    content["val"] = {"val_freq": 2, "save_img": True, "metrics": METRIC}
    return content


@pytest.mark.parametrize("name", BASELINES)
def test_networks_of_basicsr_train_by_the_same_command(short, option_file, tmp_path, name):
    """What the validation measured is what the network gives, run by hand on padded images."""
    settings, multiple = BASELINES[name]
    short["network_g"] = {"type": name, **settings}
    launch.train(option_file(short))
    files = torch.load(tmp_path / "experiments/small/models/net_g_2.pth", weights_only=True)
    assert files.keys() == {"params", "params_ema"}
    kept = yaml.safe_load((tmp_path / "experiments/small/small.yml").read_text())["network_g"]
    net = build_network(kept).eval()
    net.load_state_dict(files["params_ema"])
    values = []
    for index in range(5):
        high = smooth_image(index)[:40, :44]
        low = torch.from_numpy(imresize(high, 0.5) / np.float32(255)).permute(2, 0, 1)[None]
        with torch.no_grad():
            result = PaddedNetwork(net, 2, multiple)(low)[0].permute(1, 2, 0)
        pixels = np.uint8(np.round(result.clamp(0, 1).numpy() * 255))
        values.append(psnr(pixels, high, 2))
        written = read_rgb(tmp_path / f"experiments/small/visualization/same/im{index}/im{index}_2.png")
        assert np.abs(written.astype(int) - pixels).max() <= 1
    test = {key: short[key] for key in ("name", "scale", "num_gpu", "network_g")}
    test |= {"datasets": {"test": short["datasets"]["val"]}, "val": {"metrics": METRIC}}
    test["path"] = {"pretrain_network_g": "experiments/small/models/net_g_latest.pth"}
    assert launch.test(option_file(test, "test.yml"))["same"]["psnr"] == pytest.approx(np.mean(values), abs=1e-3)


def refusal(option_file, content, training=True):
    with pytest.raises(OptionError) as caught:
        read_options(option_file(content), training=training)
    return str(caught.value).partition(": ")[2]


def test_networks_are_checked_before_anything_starts(short, option_file):
    edsr = {"type": "EDSR", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 1}
    for change, message in (
        ({"num_feats": 8}, "network_g: Unknown key of EDSR 'num_feats'. Did you mean 'num_feat'?"),
        ({"upscale": 4}, "network_g.upscale: 4 is not the file's scale, 2"),
        ({"num_in_ch": 1}, "network_g: EDSR does not upscale RGB images by 2: "),
        ({"num_feat": "wide"}, "network_g: EDSR cannot be built: "),
    ):
        short["network_g"] = edsr | change
        assert refusal(option_file, short).startswith(message)
    del edsr["num_in_ch"]
    short["network_g"] = edsr
    assert refusal(option_file, short) == "network_g: EDSR needs the key num_in_ch"
    short["network_g"] = {"type": "SwinIR", **BASELINES["SwinIR"][0]}
    short["datasets"]["train"]["gt_size"] = 20
    assert refusal(option_file, short).endswith("20 gives LR patches of 10, and SwinIR takes multiples of 4")
    short["datasets"]["train"]["gt_size"] = 16
    short["train"]["checkpointing"] = True
    assert refusal(option_file, short).startswith("train.checkpointing: SwinIR cannot do it")
    short["network_g"] = {"type": "VGGStyleDiscriminator", "num_in_ch": 3, "num_feat": 4}
    assert "does not upscale RGB images by 2" in refusal(option_file, short)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_padding_keeps_what_lies_inside(scale):
    """A network of 1×1 windows gives the same with and without; the multiple is found by sizes alone."""

    class Blocks(torch.nn.Module):
        def forward(self, image):
            batch, channels, height, width = image.shape
            image.view(batch, channels, height // 4, 4, width // 4, 4)  # fails at other sizes
            return image.repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    multiple = find_multiple(Blocks, "Blocks", scale)
    assert multiple == 4
    image = torch.rand(1, 3, 5, 2)
    expected = image.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(PaddedNetwork(Blocks(), scale, multiple)(image), expected)


PLUGIN = '''
import torch
from basicsr.utils.registry import DATASET_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY
from torch.utils.data import Dataset

from lsm.mixers import registry
from lsm.mixers.base import LINEAR, MixerProperties, TokenMixer


@LOSS_REGISTRY.register()
class EdgeLoss(torch.nn.Module):
    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, output, target):
        return self.loss_weight * (output.diff(dim=-1) - target.diff(dim=-1)).abs().mean()


@DATASET_REGISTRY.register()
class Ramps(Dataset):
    def __init__(self, opt):
        self.opt = opt

    def __len__(self):
        return self.opt["count"]

    def __getitem__(self, index):
        low = torch.linspace(0, 1, 8).repeat(3, 8, 1) * index / self.opt["count"]
        high = low.repeat_interleave(self.opt["factor"], 1).repeat_interleave(self.opt["factor"], 2)
        return {"lq": low, "gt": high, "lq_path": f"ramp{index}.png"}


@METRIC_REGISTRY.register()
def largest_error(img, img2, percentile=100):
    return float(abs(img.astype(int) - img2).max())


class Nothing(TokenMixer):
    """The tokens themselves, times a number."""

    properties = MixerProperties(LINEAR)

    def __init__(self, dim, *, sequence=False, factor: float = 1.0):
        super().__init__(dim, sequence=sequence)
        self.weight = torch.nn.Parameter(torch.full((dim,), factor))

    def mix(self, tokens, size):
        return tokens * self.weight


registry.add_mixer("nothing", Nothing)
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A file that registers one of each, under names of its own, since BasicSR keeps what was registered."""
    number = next(_NUMBERS)
    text = PLUGIN
    for name in ("EdgeLoss", "Ramps", "largest_error", "Nothing", "nothing"):
        text = re.sub(rf"\b{name}\b", f"{name}{number}", text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / f"own{number}.py").write_text(text)
    return number


_NUMBERS = itertools.count(1)


def test_an_own_loss_data_set_and_metric_train(short, option_file, tmp_path, plugin, capsys):
    short["plugins"] = [f"own{plugin}"]
    ramps = {"type": f"Ramps{plugin}", "count": 3, "factor": 2}
    short["datasets"] = {"train": ramps | {"batch_size": 2, "num_worker_per_gpu": 1}, "val": ramps}
    short["train"]["losses"] = {"edges": {"type": f"EdgeLoss{plugin}", "loss_weight": 0.5}}
    short["val"]["metrics"] = {"worst": {"type": f"largest_error{plugin}", "percentile": 99, "better": "lower"}}
    launch.train(option_file(short))
    log = capsys.readouterr().err
    assert len(re.findall(r"l_pix \S+  l_edges \S+", log)) == 2
    assert 0 < float(re.search(r"# worst: (\S+)", log)[1]) < 255
    kept = yaml.safe_load((tmp_path / "experiments/small/small.yml").read_text())
    assert kept["plugins"] == [f"own{plugin}"]
    launch.train(tmp_path / "experiments/small/small.yml", ["name=again"])  # with what it registered


def test_an_own_loss_takes_the_pixel_losss_place_by_a_flag(short, option_file, tmp_path, plugin, capsys):
    """The weight of the loss is the only thing between the two logs."""
    short["train"]["optim_g"]["lr"] = 1e-9
    found = []
    for weight in (1.0, 0.25):
        short["train"]["pixel_opt"] = {"type": f"EdgeLoss{plugin}", "loss_weight": weight}
        launch.train(option_file(short | {"name": f"w{weight}"}), plugins=[f"own{plugin}.py"])
        found += [float(value) for value in re.findall(r"l_pix (\S+)", capsys.readouterr().err)]
    assert found[2:] == pytest.approx([value / 4 for value in found[:2]], rel=1e-4)


def test_what_is_registered_is_checked(short, option_file, plugin):
    short["plugins"] = [f"own{plugin}"]
    short["train"]["losses"] = {"edges": {"type": f"EdgeLoss{plugin}", "weight": 0.5}}
    assert f"train.losses.edges: Unknown key of EdgeLoss{plugin} 'weight'" in refusal(option_file, short)
    short["train"]["losses"] = {"edges": {"type": "Edges"}}
    assert "'Edges' is registered neither by BasicSR nor by a module in plugins" in refusal(option_file, short)
    del short["train"]["losses"]
    short["datasets"]["train"]["type"] = "Rampz"
    assert "datasets.train.type: Unknown value 'Rampz'." in refusal(option_file, short)
    short["datasets"]["train"] = {"type": f"Ramps{plugin}", "count": 3, "factor": 3, "batch_size": 2}
    with pytest.raises(OptionError, match=r"gt in the samples of Ramps\d+ is \(24, 24\), where scale 2 needs \(16, 16"):
        launch.train(option_file(short))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "The plug-in missing.py does not exist."),
        ("no.such.module", None, "The plug-in no.such.module cannot be imported: ModuleNotFoundError: No module named"),
        ("broken.py", "1 / 0", "The plug-in broken.py cannot be imported: ZeroDivisionError: division by zero."),
        ("json.py", "", "The plug-in json.py is called like the module json, which is imported; rename it."),
    ],
)
def test_plugins_that_cannot_be_imported(short, option_file, tmp_path, monkeypatch, name, text, message):
    monkeypatch.setattr(sys, "path", list(sys.path))
    if text is not None:
        (tmp_path / name).write_text(text)
    short["plugins"] = [name]
    assert refusal(option_file, short).startswith(f"plugins: {message}")


def test_a_mixer_of_ones_own_is_trained_and_upscales(short, option_file, tmp_path, plugin):
    short["network_g"] |= {"mixer": f"nothing{plugin}", "mixer_options": {"factor": 0.5}}
    del short["network_g"]["d_state"], short["network_g"]["split_size"]
    write_image(tmp_path / "low.png", smooth_image(9, 20, 22))
    commands = [
        ["train", "-opt", str(option_file(short)), "--plugin", f"own{plugin}.py"],
        ["upscale", "low.png", "-o", "high.png", "-n", "experiments/small/models/net_g_latest.pth"],
    ]
    for command in ([*commands[0]], [*commands[1], "--plugin", f"own{plugin}.py"]):
        with pytest.raises(SystemExit) as left:
            main(command)
        assert not left.value.code
    assert read_rgb(tmp_path / "high.png").shape == (40, 44, 3)
