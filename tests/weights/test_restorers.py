"""Weights of networks for restoration: read by themselves, contradicted, converted."""

import pytest
import torch

from lsm.arch import build_preset
from lsm.errors import CheckpointError
from lsm.weights import load_model, save_model
from lsm.weights.convert import convert
from lsm.weights.detect import detect_config
from lsm.weights.share import write_card

SMALL = {"embed_dim": 16, "depths": (2,), "num_heads": 2, "d_state": 2, "split_size": (4, 8), "init": "random"}


@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("variant", ["tiny", "s"])
@torch.no_grad()
def test_a_file_says_the_task_and_gives_the_same_network(tmp_path, variant, unshuffle):
    model = build_preset(variant, 1, task="jpeg", unshuffle=unshuffle, **SMALL).eval()
    for name in ("a.safetensors", "a.pth"):
        save_model(model, tmp_path / "a.safetensors")
        if name == "a.pth":
            convert(tmp_path / "a.safetensors", tmp_path / name)
        again = load_model(tmp_path / name)
        assert again.config == model.config and again.config.task == "jpeg"
        image = torch.rand(1, 3, 9, 11)
        assert torch.equal(again(image), model(image))


def test_a_configuration_of_another_scale_is_refused():
    state = build_preset("tiny", 1, task="denoise", unshuffle=2, **SMALL).state_dict()
    other = build_preset("tiny", 2, **SMALL).state_dict()
    with pytest.raises(CheckpointError, match="contradict"):
        detect_config({**state, "_extra_state": other["_extra_state"]})
    with pytest.raises(CheckpointError, match="contradict"):
        detect_config({**other, "_extra_state": state["_extra_state"]})


def test_no_official_name(tmp_path):
    save_model(build_preset("tiny", 1, task="denoise", **SMALL), tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="denoise has no official name"):
        convert(tmp_path / "a.safetensors", tmp_path / "b.pth", naming="official")


def test_the_hubs_page_says_what_it_does():
    page = write_card(build_preset("tiny", 1, task="denoise", **SMALL), {}, "a/b")
    assert "# LSM denoise" in page and "restoration" in page and "super-resolution" not in page
