import sys

import numpy as np
import pytest
import torch
from PIL import Image

import lsm
from lsm.benchmark.baselines import bicubic, lanczos
from lsm.benchmark.methods import Method, MethodSpec, parse_methods
from lsm.benchmark.settings import Settings
from lsm.errors import CheckpointError, OptionError
from lsm.image.resize import imresize
from lsm.weights.identity import state_hash


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (21, 17, 3), dtype=np.uint8)


def test_baselines(image):
    np.testing.assert_array_equal(bicubic(image, 3), imresize(image, 3.0))
    expected = Image.fromarray(image).resize((51, 63), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(lanczos(image, 3), np.asarray(expected))


def test_a_network_gives_its_own_rounded_output(image, weights):
    path = str(weights).replace("{scale}", "2")
    method = Method(MethodSpec("small", path, 0), Settings(device="cpu"))
    assert (method.scale, method.architecture) == (2, "LSM")
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    model = lsm.load_model(path)
    with torch.inference_mode():
        output = model(tensor)[0].clamp(0, 1).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(method(image), np.rint(output * 255).astype(np.uint8))


def test_self_ensemble_is_named_and_turns_with_the_image(image, weights):
    path = str(weights).replace("{scale}", "2")
    method = Method(MethodSpec("small", path, 0), Settings(device="cpu", ensemble=True))
    assert method.label == "small+"
    assert Method(MethodSpec("bicubic", "bicubic", 2), Settings(ensemble=True)).label == "bicubic"
    turned = method(np.ascontiguousarray(np.rot90(image)))
    # A sum in another order may round another way.
    assert np.abs(np.rot90(method(image)).astype(int) - turned).max() <= 1


def test_the_list_of_methods(weights):
    settings = Settings(device="cpu")
    specs = parse_methods(f"bicubic, {weights}, other={weights}", [2, 3, 4], settings)
    assert [(spec.label, spec.scale) for spec in specs] == [
        ("bicubic", 2),
        ("bicubic", 3),
        ("bicubic", 4),
        ("small", 2),
        ("small", 4),
        ("other", 2),
        ("other", 4),
    ]
    single = parse_methods(str(weights).replace("{scale}", "4"), [2, 4], settings)
    assert [(spec.label, spec.scale) for spec in single] == [("small", 4)]


def test_embedded_weights_by_preset(monkeypatch):
    specs = parse_methods("tiny,mine=tiny", [2, 4], Settings())
    assert [(spec.label, spec.source) for spec in specs] == [
        ("tiny", "tiny-x2"),
        ("tiny", "tiny-x4"),
        ("mine", "tiny-x2"),
        ("mine", "tiny-x4"),
    ]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", OptionError, "No models"),
        ("bicubic,bicubic", OptionError, "Two models"),
        ("nothing", CheckpointError, "Unknown weights"),
        ("missing_x{scale}.pth", OptionError, "no file missing_x2.pth"),
    ],
)
def test_wrong_lists(text, error, message):
    with pytest.raises(error, match=message):
        parse_methods(text, [2], Settings())


def test_a_scale_that_was_not_asked_for(weights):
    with pytest.raises(OptionError, match="none of the scales ×3"):
        parse_methods(str(weights).replace("{scale}", "2"), [3], Settings())


def test_the_hash_sees_values_and_configuration():
    torch.manual_seed(0)
    model = lsm.create_model("tiny", scale=2, depths=(2,), embed_dim=12)
    first = state_hash(model)
    assert state_hash(model) == first
    other = lsm.create_model("tiny", scale=2, depths=(2,), embed_dim=12, recurrence="official")
    other.load_state_dict({**model.state_dict(), "_extra_state": other.state_dict()["_extra_state"]})
    assert state_hash(other) != first
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-3
    assert state_hash(model) != first


def test_information_about_a_network(weights):
    path = str(weights).replace("{scale}", "4")
    info = Method(MethodSpec("small", path, 4), Settings(device="cpu")).info()
    model = lsm.load_model(path)
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert info.macs > 180 * 320 * info.parameters / 4
    assert len(info.sha256) == 64


def test_networks_that_spandrel_loads(tmp_path, image):
    pytest.importorskip("spandrel", reason="spandrel (extra `compare`) is not installed")
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    network = Compact(num_feat=8, num_conv=2, upscale=2).eval()
    path = tmp_path / "compact.pth"
    torch.save({"params": network.state_dict()}, path)
    specs = parse_methods(str(path), [2], Settings(device="cpu"))
    method = Method(specs[0], Settings(device="cpu"))
    assert (specs[0].label, method.scale, method.architecture) == ("compact", 2, "RealESRGAN Compact")
    with torch.inference_mode():
        output = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0].clamp(0, 1).permute(1, 2, 0)
    np.testing.assert_array_equal(method(image), np.rint(output.numpy() * 255).astype(np.uint8))
    info = method.info()
    assert info.parameters == sum(parameter.numel() for parameter in network.parameters())
    # Convolutions alone: 3→8, twice 8→8, 8→12, all 3×3, at 360×640.
    assert info.macs == 9 * (3 * 8 + 2 * 8 * 8 + 8 * 12) * 360 * 640


def test_without_spandrel_its_extra_is_named(tmp_path, monkeypatch):
    path = tmp_path / "other.pth"
    torch.save({"params": {"weight": torch.zeros(3)}}, path)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(CheckpointError, match=r"\[compare\]"):
        parse_methods(str(path), [2], Settings())


def test_settings_name_the_protocol():
    assert Settings().protocol == "classical-sr-y"
    assert Settings(channel="rgb").protocol == "classical-sr-rgb"
    assert Settings(tile=256, tile_overlap=16, precision="bf16").protocol == "classical-sr-y-tiled-256-16-bf16"
    for wrong in ({"channel": "v"}, {"tile": -1}, {"precision": "fp8"}):
        with pytest.raises(OptionError):
            Settings(**wrong)
