"""Options of an upscaler, checked once."""

import dataclasses

import pytest
import torch

from lsm.errors import LSMError, OptionError
from lsm.inference.options import UpscaleOptions
from lsm.inference.upscaler import Upscaler


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"tile": "large"}, "'auto'"),
        ({"tile": 12.5}, "'auto'"),
        ({"tile": True}, "'auto'"),
        ({"tile": -1}, "negative"),
        ({"tile_overlap": -1}, "negative"),
        ({"tile_overlap": 1.5}, "whole number"),
        ({"precision": "fp46"}, "Did you mean 'fp16'"),
        ({"device": "tpu"}, "cuda"),
        ({"alpha": "keep"}, "bicubic"),
        ({"scale": 0}, "out of range"),
        ({"scale": 65}, "out of range"),
        ({"scale": float("nan")}, "out of range"),
        ({"scale": "2"}, "out of range"),
        ({"seed": 0.5}, "whole number"),
    ],
)
def test_wrong_values_are_refused_where_they_are_given(wrong, text):
    with pytest.raises(OptionError, match=text) as caught:
        UpscaleOptions(**wrong)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, LSMError)
    assert "--" not in str(caught.value)


def test_values_are_normalised_and_frozen():
    options = UpscaleOptions(tile="64", device=torch.device("cuda", 1))
    assert (options.tile, options.device) == (64, "cuda:1")
    assert options.replace(scale=2) == UpscaleOptions(tile=64, device="cuda:1", scale=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.tile = 32  # type: ignore[misc]
    with pytest.raises(OptionError, match="Did you mean 'tile_overlap'"):
        options.replace(tile_overlab=3)


def test_an_upscaler_takes_a_name_and_options_in_either_form():
    named = Upscaler("tiny", UpscaleOptions(scale=3, device="cpu"))
    assert (named.model_scale, named.scale) == (3, 3)
    between = Upscaler("tiny", scale=2.5, device="cpu", tile=64)
    assert (between.model_scale, between.scale, between.max_tile) == (3, 2.5, 64)
    assert between.options == UpscaleOptions(scale=2.5, device="cpu", tile=64)
    assert Upscaler("tiny-x2", UpscaleOptions(device="cpu"), tile=0).options.tile == 0
    with pytest.raises(OptionError, match="option of Upscaler 'tiles'"):
        Upscaler("tiny-x2", tiles=3)
