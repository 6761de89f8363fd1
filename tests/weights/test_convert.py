"""Weights from one form to another and back."""

import pytest
import torch

from lsm import load_model
from lsm.arch import create_model
from lsm.errors import CheckpointError, OptionError
from lsm.weights import about_weights, save_model
from lsm.weights.convert import convert, official_state

OFFICIAL = ("light_x4", "light_x3", "classical_x2")


def small(**options):
    return create_model("tiny", 2, **{"embed_dim": 16, "depths": (2,), "d_state": 2, "num_heads": 2, **options}).eval()


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_files_come_back_bit_for_bit(shared, name, tmp_path):
    original = shared / "fixtures" / f"released_{name}.pth"
    convert(original, tmp_path / "ours.safetensors")
    assert load_model(tmp_path / "ours.safetensors").config == load_model(original).config
    convert(tmp_path / "ours.safetensors", tmp_path / "back.pth")
    before = torch.load(original, weights_only=True)["params_ema"]
    after = torch.load(tmp_path / "back.pth", weights_only=True)["params_ema"]
    assert {key for key in before if "attn_mask" not in key} == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in after)


def test_our_names_and_all_that_is_known_survive(tmp_path):
    model = small(scan_order="hilbert")
    save_model(model, tmp_path / "a.safetensors", {"training_set": "noise", "licence": "CC0-1.0"})
    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", about={"licence": "MIT"})
    assert about_weights(tmp_path / "b.safetensors") == {"training_set": "noise", "licence": "MIT"}
    convert(tmp_path / "b.safetensors", tmp_path / "c.pth")
    for key in ("params", "params_ema"):
        wrapped = torch.load(tmp_path / "c.pth", weights_only=True)[key]
        assert wrapped.keys() == model.state_dict().keys()
    loaded = load_model(tmp_path / "c.pth")
    assert loaded.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))


def test_which_weights_of_a_file_are_taken(tmp_path):
    first, second = small(), small()
    torch.save({"params": first.state_dict(), "params_ema": second.state_dict()}, tmp_path / "a.pth")
    for key, expected in ((None, second), ("params", first), ("params_ema", second)):
        converted = convert(tmp_path / "a.pth", tmp_path / "b.safetensors", key=key)
        assert torch.equal(converted.conv.weight, expected.conv.weight)


@pytest.mark.parametrize("dictionary", ["block", "shared"])  # a shared one is written once for each block
def test_a_paper_network_can_take_the_official_names(dictionary, tmp_path):
    model = small(dictionary=dictionary, depths=(4,))
    save_model(model, tmp_path / "a.safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "b.pth", naming="official")
    loaded = load_model(tmp_path / "b.pth", recurrence="paper")
    image = torch.rand(1, 3, 9, 20)
    with torch.no_grad():
        assert torch.equal(loaded(image), model(image))


@pytest.mark.parametrize(
    "options",
    [
        {"transition": "gain"},
        {"scan_order": "snake"},
        {"mixer": "fnet"},
        {"enhancement": False},
        {"img_range": 255.0},
        {"rgb_mean": (0.5, 0.5, 0.5)},
    ],
)
def test_what_the_published_networks_lack_is_refused(options):
    with pytest.raises(CheckpointError, match="published networks"):
        official_state(small(**options))


@pytest.mark.parametrize(
    ("target", "options", "text"),
    [
        ("b.ckpt", {}, "safetensors or .pth"),
        ("b.pth", {"naming": "theirs"}, "official"),
        ("b.pth", {"key": "param"}, "params"),
        ("b.safetensors", {"naming": "official"}, "Only a .pth"),
    ],
)
def test_wrong_requests_write_nothing(target, options, text, tmp_path):
    save_model(small(), tmp_path / "a.safetensors")
    with pytest.raises(OptionError, match=text):
        convert(tmp_path / "a.safetensors", tmp_path / target, **options)
    assert not (tmp_path / target).exists()
