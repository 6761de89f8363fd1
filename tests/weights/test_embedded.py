"""The weights that come with the package: what they are, and that they are worth having."""

import numpy as np
import pytest

from lsm import Upscaler, load_model
from lsm.benchmark.metrics import psnr
from lsm.benchmark.resize import imresize
from lsm.inference.image_io import read_image
from lsm.weights import EMBEDDED, read_checkpoint
from lsm.weights.registry import embedded_path


@pytest.mark.parametrize("name", EMBEDDED)
def test_files_are_small_and_say_where_they_come_from(name):
    path = embedded_path(name)
    assert path.stat().st_size <= 1.5e6
    header = read_checkpoint(path).metadata
    assert header["training_set"].startswith("BSDS400")
    assert int(header["iterations"]) > 0
    assert header["licence"] == "Apache-2.0"
    config = load_model(name).config
    assert name == f"tiny-x{config.upscale}"
    assert config.semantics == "paper"


@pytest.mark.parametrize(("name", "gain"), [("tiny-x2", 3.0), ("tiny-x3", 2.4), ("tiny-x4", 2.5)])
def test_they_beat_bicubic_on_every_picture_of_set5(shared, name, gain):
    model = load_model(name)
    scale, upscale = model.config.upscale, Upscaler(model, tile=0, device="cpu")
    gains = []
    for path in sorted((shared / "data" / "Set5" / f"HR_x{scale}").iterdir()):
        high = read_image(path).pixels
        low = imresize(high, 1 / scale)
        ours, bicubic = (psnr(image, high, scale) for image in (upscale(low), imresize(low, float(scale))))
        gains.append(ours - bicubic)
    assert len(gains) == 5
    assert min(gains) > 0.5
    assert np.mean(gains) > gain
