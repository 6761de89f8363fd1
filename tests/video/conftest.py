"""A small network for the tests of videos."""

import pytest
import torch

from lsm.arch import build_preset
from lsm.inference.upscaler import Upscaler
from lsm.weights import load_model, save_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small-x2.safetensors"
    save_model(build_preset("tiny", scale=2, embed_dim=16, depths=(2,), d_state=2, num_heads=2), path)
    return path


@pytest.fixture
def upscaler(weights):
    return Upscaler(load_model(weights), device="cpu")
