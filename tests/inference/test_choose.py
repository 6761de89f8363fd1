"""The choice of weights: by the tables of a JPEG, by noise that is known, by nothing but the image."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lsm.inference import upscaler as module
from lsm.inference.choose import NOISE, choose, estimate_noise
from lsm.inference.upscaler import Upscaler

data = pytest.importorskip("skimage.data")

PHOTOS = {name: np.ascontiguousarray(getattr(data, name)()[:256, :256]) for name in ("astronaut", "coffee", "cat")}


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    added = image + sigma * np.random.default_rng(0).standard_normal(image.shape)
    return np.rint(added).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("sigma", [8, 12, 25])
def test_known_noise_on_photographs_is_found(name, sigma):
    estimate = estimate_noise(noisy(PHOTOS[name], sigma))
    assert estimate == pytest.approx(sigma, rel=0.25)
    assert choose(noisy(PHOTOS[name], sigma), None).kind == "photo"


@pytest.mark.parametrize("name", PHOTOS)
def test_clean_photographs_have_none_of_it(name):
    assert estimate_noise(PHOTOS[name]) < NOISE
    assert choose(PHOTOS[name], None).kind == "clean"


def test_pure_noise_and_every_kind_of_pixel():
    grey = np.full((400, 400, 1), 128, np.uint8)
    estimate = estimate_noise(noisy(grey, 10))
    assert estimate == pytest.approx(10, rel=0.03)
    sixteen = noisy(grey, 10).astype(np.uint16) * 257
    assert estimate_noise(sixteen) == pytest.approx(estimate, rel=1e-3)
    assert estimate_noise((noisy(grey, 10) / 255).astype(np.float32)) == pytest.approx(estimate, rel=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (9, 200)])
def test_small_and_flat_images_are_clean(size):
    assert choose(np.full((*size, 3), 255, np.uint8), None).kind == "clean"


def test_a_line_drawing_is_not_noise():
    image = np.full((128, 128, 3), 240, np.uint8)
    image[::24], image[:, ::24] = 90, 90
    for step in range(100):
        image[step + 3, step + 9 : step + 11] = 20
    assert choose(image, None).kind == "clean"


@pytest.mark.parametrize(("quality", "kind"), [(30, "photo"), (75, "photo"), (94, "photo"), (95, "clean")])
def test_the_quality_of_a_jpeg_decides(quality, kind):
    choice = choose(PHOTOS["coffee"], quality)
    assert choice.kind == kind and f"compressed at quality {quality}" in choice.reason


class Constant(nn.Module):
    """Gives one value, so that the result says which network made it."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.config = SimpleNamespace(upscale=2, tile_multiple=8)
        self.value = nn.Parameter(torch.tensor(value), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.value.expand(1, 3, image.shape[2] * 2, image.shape[3] * 2)


def test_the_upscaler_follows_each_image_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "open_network", lambda source: Constant(1.0))
    upscale = Upscaler(Constant(0.0), device="cpu")
    upscale.photo = "photo-x2"
    file = io.BytesIO()
    Image.fromarray(PHOTOS["cat"][:64, :64]).save(file, "JPEG", quality=60)
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    for _ in range(2):
        assert (upscale(PHOTOS["cat"]) == 0).all() and upscale.choice.kind == "clean"
        assert (upscale(tmp_path / "a.jpg") == 255).all() and "quality 60" in upscale.choice.reason
        assert (upscale(noisy(PHOTOS["cat"], 15)) == 255).all() and "noise" in upscale.choice.reason
    alone = Upscaler(Constant(0.0), device="cpu")
    assert (alone(tmp_path / "a.jpg") == 0).all() and alone.choice is None
