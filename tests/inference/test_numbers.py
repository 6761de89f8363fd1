"""Extremes in every precision, colours that stay, and seams that do not show, with the embedded weights."""

import logging

import numpy as np
import pytest
from stress.numbers import extremes, overflowing_model
from stress.tiling import seam_step

from lsm import Upscaler, load_model
from lsm.image.pixels import to_tensor
from lsm.image.resize import imresize

data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[60:188, 150:310])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_extremes_are_finite_and_flat_ones_stay_so(precision: str) -> None:
    upscaler = Upscaler(load_model("tiny-x2"), tile=0, precision=precision, device="cpu")
    for dtype in (np.uint8, np.uint16):
        for name, image in extremes(dtype, 24).items():
            values = upscaler.upscale_tensor(to_tensor(image))
            assert values.isfinite().all(), name


def test_tiles_that_overflow_are_redone_in_full_precision(caplog: pytest.LogCaptureFixture) -> None:
    model = overflowing_model()
    image = extremes(np.uint8)["noise"]
    expected = Upscaler(model, tile=32, tile_overlap=8, device="cpu")(image)
    with caplog.at_level(logging.WARNING):
        found = Upscaler(model, tile=32, tile_overlap=8, precision="fp16", device="cpu")(image)
    np.testing.assert_array_equal(found, expected)
    assert caplog.text.count("fp32") == 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_colours_stay(scale: int, photo: np.ndarray) -> None:
    back = imresize(Upscaler(load_model(f"tiny-x{scale}"), tile=0, device="cpu")(photo), photo.shape[:2])
    error = back.astype(int) - photo
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.5
    assert np.abs(error).mean() < 3


def test_seams_do_not_show_at_the_default_overlap(photo: np.ndarray) -> None:
    model, image = load_model("tiny-x2"), to_tensor(photo)
    whole = Upscaler(model, tile=0, device="cpu").upscale_tensor(image)
    upscaler = Upscaler(model, tile=64, device="cpu")
    difference = 255 * (upscaler.upscale_tensor(image) - whole)[0]
    assert seam_step(difference, 64, upscaler.options.tile_overlap, upscaler.window, 2) < 1
