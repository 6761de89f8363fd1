"""Weights from one form to another and back."""

import pytest
import torch

from lsm import load_model
from lsm.arch import build_preset
from lsm.errors import CheckpointError, OptionError
from lsm.weights import about_weights, save_model
from lsm.weights.convert import convert, official_state

OFFICIAL = ("light_x4", "light_x3", "classical_x2")


def small(**options):
    return build_preset("tiny", 2, **{"embed_dim": 16, "depths": (2,), "d_state": 2, "num_heads": 2, **options}).eval()


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_files_come_back_bit_for_bit(shared, name, tmp_path):
    original = shared / "fixtures" / f"released_{name}.pth"
    convert(original, tmp_path / "ours.safetensors")
    assert load_model(tmp_path / "ours.safetensors").config == load_model(original).config
    convert(tmp_path / "ours.safetensors", tmp_path / "back.pth")
    before = torch.load(original, weights_only=True)["params_ema"]
    after = torch.load(tmp_path / "back.pth", weights_only=True)["params_ema"]
    assert before.keys() == after.keys()  # the masks of shifted windows too, which light_x3 has
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_both_state_dicts_of_an_official_file_come_through(shared, tmp_path):
    """A training's own weights beside their average, as the published files have them; with `key` one of them twice."""
    states = torch.load(shared / "fixtures" / "released_light_x3.pth", weights_only=True)
    states["params"] = {name: -tensor if name.endswith("bias") else tensor for name, tensor in states["params"].items()}
    torch.save(states, tmp_path / "a.pth")
    for key in (None, "params"):
        convert(tmp_path / "a.pth", tmp_path / "b.pth", key=key)
        found = torch.load(tmp_path / "b.pth", weights_only=True)
        for name in ("params", "params_ema"):
            expected = states[key or name]
            assert found[name].keys() == expected.keys()
            assert all(torch.equal(found[name][entry], expected[entry]) for entry in expected)


def test_masks_as_the_published_code_has_them_unless_the_source_lacks_them(shared, tmp_path):
    for name, kept in (("light_x3", True), ("light_x4", False)):
        convert(shared / "fixtures" / f"released_{name}.pth", tmp_path / "b.pth")
        assert any("attn_mask" in key for key in torch.load(tmp_path / "b.pth", weights_only=True)["params"]) == kept
    state = official_state(small(depths=(4,)))  # no source: of 64×64 pixels, in 8×16 windows and 16×8
    masks = {key: tensor for key, tensor in state.items() if "attn_mask" in key}
    assert [key[len("layers.0.blocks.") :] for key in masks] == ["2.attn.attn_mask_0", "2.attn.attn_mask_1"]
    assert all(mask.shape == (32, 128, 128) for mask in masks.values())
    last = masks["layers.0.blocks.2.attn.attn_mask_0"][-1]  # the corner window: four regions of 4×8
    region = torch.arange(128).view(8, 16)
    region = ((region // 16 >= 4) * 2 + (region % 16 >= 8)).flatten()
    assert torch.equal(last, torch.where(region[:, None] == region[None], 0.0, -100.0))


def test_our_names_and_all_that_is_known_survive(tmp_path):
    model = small(recurrence={"scan_order": "hilbert"})
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


def test_a_paper_network_can_take_the_official_names(tmp_path):
    model = small(depths=(4,))
    save_model(model, tmp_path / "a.safetensors")
    convert(tmp_path / "a.safetensors", tmp_path / "b.pth", naming="official")
    loaded = load_model(tmp_path / "b.pth", recurrence="paper")
    image = torch.rand(1, 3, 9, 20)
    with torch.no_grad():
        assert torch.equal(loaded(image), model(image))


@pytest.mark.parametrize(
    "options",
    [
        {"recurrence": "gated"},
        {"recurrence": {"transition": "none"}},
        {"recurrence": {"scan_order": "snake"}},
        {"mixer": "fnet"},
        {"recurrence": {"enhancement": False}},
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
