"""Noise and JPEG as they are meant: strength, distribution, and the same numbers for the same image."""

import io

import numpy as np
import pytest
from PIL import Image

from lsm.data.degradations import add_noise, compress, image_generator, to_grey

GREY = np.full((200, 300, 3), 128, np.uint8)


def photo() -> np.ndarray:
    y, x = np.mgrid[:72, :100] / 9
    waves = np.stack([np.sin(x + y), np.cos(x * y / 3), np.sin(x - 2 * y)], -1)
    return np.uint8(waves * 90 + 128)


@pytest.mark.parametrize("sigma", [5, 25, 50])
def test_noise_is_white_of_its_sigma_and_independent_in_the_channels(sigma):
    noise = add_noise(GREY, sigma, image_generator("a")) * 255 - 128.0
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 4 * sigma / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert np.mean(np.abs(noise) < sigma) == pytest.approx(0.6827, abs=0.01)  # of a normal distribution
    correlations = np.corrcoef(noise.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.02
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02


def test_noise_is_clipped_only_where_asked():
    black = np.zeros((50, 50, 3), np.uint8)
    assert add_noise(black, 25, image_generator("a")).min() < -0.1
    clipped = add_noise(black, 25, image_generator("a"), clipped=True)
    steps = clipped * 255
    assert clipped.min() == 0 and np.abs(steps - np.rint(steps)).max() < 1e-4


def test_grey_noise_is_equal_in_the_channels():
    noisy = add_noise(GREY, 25, image_generator("a"), grey=True)
    assert np.ptp(noisy, axis=2).max() == 0 and noisy.std() * 255 == pytest.approx(25, rel=0.02)


def test_a_image_has_its_own_numbers():
    first, again = (add_noise(GREY, 25, image_generator("a")) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for other in (image_generator("b"), image_generator("a", seed=1)):
        assert np.corrcoef(first.ravel(), add_noise(GREY, 25, other).ravel())[0, 1] < 0.02


@pytest.mark.parametrize("quality", [10, 40, 90])
def test_jpeg_is_pillows_at_its_quality(quality):
    image = photo()
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    np.testing.assert_array_equal(compress(image, quality), np.array(Image.open(buffer)))
    tables = Image.open(buffer).quantization  # libjpeg: the first entry of the standard luma table, 16, scaled
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    assert tables[0][0] == max(1, int((16 * scale + 50) / 100))


def test_grey_jpeg_has_no_colour():
    image = to_grey(photo())
    result = compress(image, 10, grey=True)
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0]).save(buffer, format="JPEG", quality=10)
    np.testing.assert_array_equal(result, np.repeat(np.array(Image.open(buffer))[..., None], 3, axis=2))


def test_grey_is_the_luma_of_matlab():
    for colour, luma in (((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81), ((0, 255, 0), 145)):
        assert (to_grey(np.full((2, 2, 3), colour, np.uint8)) == luma).all()
