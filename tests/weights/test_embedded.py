"""The weights that come with the package: what they are, and that they are worth having."""

import io

import numpy as np
import pytest
from PIL import Image

from lsm import Upscaler, load_model
from lsm.benchmark.restoration import NLM_STRENGTHS, non_local_means, to_bytes
from lsm.data.degradations import add_noise, compress, image_generator
from lsm.data.real_sr import CONDITIONS, make_lr
from lsm.image.io import read_image
from lsm.image.resize import imresize
from lsm.metrics import psnr, psnr_b
from lsm.weights import embedded_path, list_models, read_checkpoint

data = pytest.importorskip("skimage.data")


@pytest.mark.parametrize("name", list_models())
def test_files_are_small_and_say_where_they_come_from(name):
    path = embedded_path(name)
    assert path.stat().st_size <= 1.5e6
    header = read_checkpoint(path).metadata
    assert header["training_set"].startswith("BSDS400")
    assert int(header["iterations"]) > 0
    assert header["licence"] == "Apache-2.0"
    config = load_model(name).config
    assert name in {f"{variant}-{config.purpose.replace('×', 'x')}" for variant in ("fast", "nano", "photo", "tiny")}
    assert config.recurrence.mode == "paper"


@pytest.mark.parametrize(
    ("name", "gain"),
    [
        *(("tiny-x2", 3.0), ("tiny-x3", 2.4), ("tiny-x4", 2.5), ("fast-x2", 3.0), ("fast-x3", 2.5), ("fast-x4", 2.5)),
        *(("nano-x2", 3.0), ("nano-x3", 2.4), ("nano-x4", 2.4)),
    ],
)
def test_they_beat_bicubic_on_every_image_of_set5(shared, name, gain):
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


@pytest.mark.parametrize("name", [name for name in list_models() if name.startswith("photo")])
def test_photo_is_better_than_bicubic_and_clean_weights_on_damaged_images(name):
    """On crops of photographs that are in no training set."""
    scale = load_model(name).config.upscale
    photo, clean = (Upscaler(each, tile=0, device="cpu") for each in (name, f"fast-x{scale}"))
    gains = []
    for image in ("astronaut", "chelsea", "coffee"):
        high = getattr(data, image)()[40:280, 100:340]
        for condition in (
            each for each in CONDITIONS if each.name in ("jpeg75", "jpeg50", "jpeg30", "noise10", "mixed")
        ):
            content, _ = make_lr(high, scale, condition, image)
            low = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
            ours, bicubic, sharp = (
                psnr(up, high, scale) for up in (photo(low), imresize(low, float(scale)), clean(low))
            )
            gains.append((ours - bicubic, ours - sharp))
    assert np.min(gains) > -0.1
    assert np.mean(gains, axis=0).min() > 0.3


@pytest.mark.parametrize("sigma", [15, 25, 50])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "camera"])
def test_the_denoiser_beats_non_local_means(name, sigma):
    """On crops of photographs that are in no training set, noisy as an 8-bit file is; the last one is grey."""
    clean = getattr(data, name)()[100:260, 100:260]
    grey = clean.ndim == 2
    colour = np.repeat(clean[..., None], 3, axis=2) if grey else clean
    noisy = to_bytes(add_noise(colour, sigma, image_generator(name), grey=grey))
    restore = Upscaler(load_model("tiny-denoise"), tile=0, device="cpu")
    ours = np.repeat(restore(noisy[..., 0])[..., None], 3, axis=2) if grey else restore(noisy)
    others = non_local_means(noisy, NLM_STRENGTHS[sigma])
    assert psnr(ours, colour, 0, "rgb") > psnr(others, colour, 0, "rgb") + (0.5 if grey else 1.0)


@pytest.mark.parametrize(("quality", "gain", "unblocked"), [(10, 1.4, 4), (30, 1.4, 3.5), (75, 1.3, 2)])
def test_the_artefacts_of_jpeg_go(quality, gain, unblocked):
    """On crops of photographs that are in no training set; the last one is grey."""
    restore, gains = Upscaler("fast-jpeg", tile=0, device="cpu"), []
    for name in ("astronaut", "chelsea", "coffee", "camera"):
        clean = getattr(data, name)()[96:272, 96:272]
        if grey := clean.ndim == 2:
            clean = np.repeat(clean[..., None], 3, axis=2)
        damaged = compress(clean, quality, grey=grey)
        restored = restore(damaged)
        gains.append([metric(restored, clean, 0, "y") - metric(damaged, clean, 0, "y") for metric in (psnr, psnr_b)])
    assert np.min(gains) > 0
    assert (np.mean(gains, axis=0) > (gain, unblocked)).all()


def test_the_denoiser_leaves_a_clean_image_alone():
    clean = data.astronaut()[:160, 100:260]
    assert psnr(Upscaler(load_model("tiny-denoise"), tile=0, device="cpu")(clean), clean, 0, "rgb") > 36
