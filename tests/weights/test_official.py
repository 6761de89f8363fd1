"""Parity with the official implementation: inputs, weights and outputs that were recorded from it."""

import json

import pytest
import torch
from safetensors import safe_open

from lsm import create_model, load_model
from lsm.errors import CheckpointError
from lsm.weights import read_checkpoint
from lsm.weights.keys import from_official, to_official

RECORDED = {"light_x4": 1e-4, "light_x3": 1e-4, "classical_x2": 2e-5}


def _draw_as_since_27(empty, generator=None):
    """Fill with the exponential numbers that torch draws from a seed since 2.7; those of 2.6 are MKL's, others."""
    uniform = torch.empty_like(empty, dtype=torch.float64).uniform_(generator=generator)
    return empty.copy_(-torch.log1p(-uniform))


@torch.no_grad()
@pytest.mark.parametrize("name", RECORDED)
def test_outputs_equal_the_recorded_ones(shared, name, monkeypatch):
    if torch.__version__ < (2, 7):
        monkeypatch.setattr(torch.Tensor, "exponential_", _draw_as_since_27)
    model = load_model(shared / "fixtures" / f"released_{name}.pth")
    assert model.config.recurrence.mode == "official"
    with safe_open(shared / "fixtures" / f"released_{name}.io.safetensors", "pt") as file:
        metadata = file.metadata()
        for number in "12":
            torch.manual_seed(int(metadata[f"seed_y{number}"]))
            actual = model(file.get_tensor(f"x{number}"))
            assert (actual - file.get_tensor(f"y{number}")).abs().max() < RECORDED[name]


@pytest.mark.parametrize("name", RECORDED)
def test_configuration_is_detected_from_the_weights_alone(shared, name):
    config = load_model(shared / "fixtures" / f"released_{name}.pth").config
    with safe_open(shared / "fixtures" / f"released_{name}.io.safetensors", "pt") as file:
        recorded = json.loads(file.metadata()["config"])
    assert config.upscale == recorded["upscale"]
    assert config.embed_dim == recorded["embed_dim"]
    assert config.depths == tuple(recorded["depth"])
    assert config.num_heads == recorded["num_heads"][0]
    assert config.mlp_ratio == recorded["mlp_ratio"]
    assert config.split_size == tuple(recorded["split_size"])
    assert config.num_tokens == recorded["num_tokens"]
    assert config.upsampler == ("light" if "light" in name else "classical")


@pytest.mark.parametrize("name", RECORDED)
def test_names_map_there_and_back(shared, name):
    official = read_checkpoint(shared / "fixtures" / f"released_{name}.pth").state
    back = to_official(from_official(official), official)
    computed = {key for key in official if key.endswith(("rpe_biases", "relative_position_index"))}
    assert back.keys() == official.keys() - computed - {key for key in official if "attn_mask" in key}
    assert all(torch.equal(back[key], official[key]) for key in back)


@pytest.mark.parametrize(("variant", "scale"), [("light", 2), ("light", 3), ("s", 2), ("s", 3), ("s", 4)])
def test_every_parameter_has_a_official_name(variant, scale):
    with torch.device("meta"):
        state = dict(create_model(variant, scale, depths=(2, 2)).named_parameters())
    official = to_official(state)
    assert len(official) == len(state)
    assert from_official(official).keys() == state.keys()


def test_other_networks_are_refused():
    with pytest.raises(CheckpointError, match=r"relative_coords"):
        from_official({"conv_first.weight": torch.zeros(1), "relative_coords_table": torch.zeros(1)})
