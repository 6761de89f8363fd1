import importlib.util
import math
import pathlib

import numpy as np
import pytest

from lsm.errors import InputError
from lsm.image.resize import contributions, imresize


def _kernel(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def _reflect(index: int, length: int) -> int:
    """Mirror an index counted from 0 into [0, length), repeating the edge pixel."""
    while not 0 <= index < length:
        index = -index - 1 if index < 0 else 2 * length - index - 1
    return index


def _slow_line(line: list[float], out_length: int, scale: float) -> list[float]:
    stretch = min(scale, 1.0)
    result = []
    for out in range(out_length):
        centre = (out + 0.5) / scale - 0.5
        reach = math.ceil(2 / stretch) + 1
        total = weight_sum = 0.0
        for tap in range(math.floor(centre) - reach, math.floor(centre) + reach + 1):
            weight = _kernel((centre - tap) * stretch)
            total += weight * line[_reflect(tap, len(line))]
            weight_sum += weight
        result.append(total / weight_sum)
    return result


def _slow_imresize(plane: np.ndarray, sizes: tuple[int, int], scales: tuple[float, float], uint8: bool) -> np.ndarray:
    """Loops over one (H, W) plane, the axis with the smaller scale first, rounding after each for uint8."""
    values = plane.astype(float)
    for axis in [1, 0] if scales[1] < scales[0] else [0, 1]:
        lines = values.T if axis == 0 else values
        lines = np.array([_slow_line(list(line), sizes[axis], scales[axis]) for line in lines])
        values = lines.T if axis == 0 else lines
        if uint8:
            values = np.floor(np.clip(values, 0, 255) + 0.5)
    return values


def _basicsr_imresize():
    """The one file, loaded by its path: the package's own import needs modules that newer torchvision dropped."""
    spec = importlib.util.find_spec("basicsr")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("basicsr is not installed")
    path = pathlib.Path(spec.submodule_search_locations[0]) / "utils" / "matlab_functions.py"
    module_spec = importlib.util.spec_from_file_location("basicsr_matlab_functions", path)
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module.imresize


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 0.7, 1.0, 1.5, 2, 3, 4, (5, 40), (30, 7), (23, 31)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_equals_the_loops(scale, dtype):
    plane = np.random.default_rng(0).integers(0, 256, (19, 26)).astype(dtype)
    sizes = scale if isinstance(scale, tuple) else (math.ceil(19 * scale), math.ceil(26 * scale))
    scales = (sizes[0] / 19, sizes[1] / 26) if isinstance(scale, tuple) else (scale, scale)
    expected = _slow_imresize(plane, sizes, scales, dtype == np.uint8)
    actual = imresize(plane, scale)
    assert actual.dtype == dtype
    assert actual.shape == sizes
    if dtype == np.uint8:
        # A sum that falls on a half to the last bit may be rounded either way.
        assert np.mean(actual != expected) < 0.01
        assert np.abs(actual.astype(int) - expected).max() <= 1
    else:
        np.testing.assert_allclose(actual, expected, atol=1e-10)


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
def test_agrees_with_basicsr(scale):
    from skimage import data

    reference = _basicsr_imresize()
    image = data.astronaut()[:180, :240] / 255.0
    expected = reference(image.astype(np.float32), scale)
    np.testing.assert_allclose(imresize(image, scale), expected, atol=2e-5)  # the reference computes in float32


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (3, 17)])
def test_images_smaller_than_the_kernel(size):
    plane = np.random.default_rng(1).random(size)
    for scale in (0.25, 3.0):
        sizes = (math.ceil(size[0] * scale), math.ceil(size[1] * scale))
        np.testing.assert_allclose(
            imresize(plane, scale), _slow_imresize(plane, sizes, (scale, scale), False), atol=1e-12
        )


def test_channels_are_independent_and_the_input_is_kept():
    image = np.random.default_rng(2).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    before = image.copy()
    resized = imresize(image, 0.5)
    for channel in range(3):
        np.testing.assert_array_equal(resized[..., channel], imresize(image[..., channel], 0.5))
    np.testing.assert_array_equal(image, before)


def test_constant_stays_constant_and_unit_scale_is_identity():
    constant = np.full((13, 9), 200, np.uint8)
    assert (imresize(constant, 1 / 3) == 200).all()
    image = np.random.default_rng(3).integers(0, 65536, (7, 8), dtype=np.uint16)
    np.testing.assert_array_equal(imresize(image, 1.0), image)


def test_a_ramp_is_antialiased_to_its_block_means():
    ramp = np.tile(np.arange(64.0), (8, 1))
    inner = imresize(ramp, (8, 16))[:, 3:-3]
    np.testing.assert_allclose(inner, np.tile(np.arange(64.0).reshape(16, 4).mean(1)[3:-3], (8, 1)), atol=1e-9)


def test_halves_round_away_from_zero():
    # Two pixels to one: the mean of the two, 0.5 and 2.5, which NumPy's rounding would turn into 0 and 2.
    assert imresize(np.array([[0, 1]], np.uint8), (1, 1)).item() == 1
    assert imresize(np.array([[2, 3]], np.uint8), (1, 1)).item() == 3


def test_cached_weights_cannot_be_changed():
    weights, _ = contributions(10, 5, 0.5)
    with pytest.raises(ValueError):
        weights[0, 0] = 1


@pytest.mark.parametrize(
    ("image", "scale"),
    [
        (np.zeros((0, 4)), 0.5),
        (np.zeros((4, 4)), 0),
        (np.zeros((4, 4)), float("nan")),
        (np.zeros((4, 4)), (0, 3)),
        (np.zeros((4, 4), np.int64), 0.5),
        (np.zeros((1, 2, 3, 4)), 0.5),
    ],
)
def test_refuses_what_is_no_image_or_size(image, scale):
    with pytest.raises(InputError):
        imresize(image, scale)
