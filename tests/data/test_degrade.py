"""Each part of a degradation against an independent reference, and its statistics; nothing shifts the image."""

from __future__ import annotations

import dataclasses
import io
import math
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.special import j1

from lsm.data.degrade.apply import degrade
from lsm.data.degrade.jpeg import ENCODERS, SUBSAMPLINGS, Jpeg, compress, encode
from lsm.data.degrade.kernels import Kernel, blur, low_pass
from lsm.data.degrade.noise import Noise, add_noise
from lsm.data.degrade.options import DegradationOptions
from lsm.data.degrade.plan import Plan, Round, draw
from lsm.data.degrade.resizing import MODES, resize, weights
from lsm.errors import OptionError
from lsm.image.resize import imresize

NOTHING = {"blur_prob": 0.0, "noise_prob": 0.0, "jpeg_prob": 0.0, "resize_prob": (0.0, 0.0, 1.0)}
ONLY_SHRUNK = DegradationOptions(**NOTHING, **{f"{name}2": value for name, value in NOTHING.items()}, final_sinc_prob=0)


def noise_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plans(count: int = 3000, **changes: object) -> list[Plan]:
    options, generator = DegradationOptions(**changes), np.random.default_rng(1)
    return [draw(options, generator) for _ in range(count)]


@pytest.mark.parametrize("sizes", [(48, 12), (48, 24), (48, 16), (48, 31), (40, 57)])
def test_resizing_is_that_of_the_programs_it_is_named_after(sizes):
    long, short = sizes
    image = noise_image(long, long)
    values = image.astype(np.float32)
    planes = [Image.fromarray(np.ascontiguousarray(values[..., c])) for c in range(3)]
    lanczos = np.stack([np.asarray(each.resize((short, short), Image.Resampling.LANCZOS)) for each in planes], -1)
    np.testing.assert_allclose(resize(values, short, short, "lanczos"), lanczos, atol=2e-3)
    linear = cv2.resize(values, (short, short), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resize(values, short, short, "bilinear"), linear, atol=2e-3)
    np.testing.assert_allclose(
        resize(values, short, short, "bicubic"), imresize(values.astype(np.float64), (short, short)), atol=2e-3
    )
    if short < long:
        area = cv2.resize(values, (short, short), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(resize(values, short, short, "area"), area, atol=2e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sizes", [(96, 24), (96, 32), (96, 48), (96, 41), (96, 117)])
def test_no_mode_shifts_the_image(mode, sizes):
    """The centre of what a pixel takes lies where the pixel does."""
    before, after = sizes
    matrix = weights(mode, before, after).astype(np.float64)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    wanted = (np.arange(after) + 0.5) * before / after - 0.5
    inner = slice(after // 4, -after // 4)
    assert np.abs(matrix @ np.arange(before) - wanted)[inner].max() < 0.05


def test_axes_are_not_mixed_up():
    image = noise_image(24, 40).astype(np.float32)
    expected = cv2.resize(image, (20, 6), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(resize(image, 6, 20, "area"), expected, atol=1e-3)
    with pytest.raises(OptionError, match="nearest"):
        resize(image, 6, 20, "nearest")  # type: ignore[arg-type]


KERNELS = [
    Kernel("gaussian", 21, 1.2),
    Kernel("gaussian", 21, 0.6, 2.0, 0.7),
    Kernel("generalized", 21, 1.5, None, 0.0, 2.5),
    Kernel("generalized", 21, 1.5, 0.8, -1.0, 0.6),
    Kernel("plateau", 21, 1.0, 2.0, 0.4, 1.5),
    Kernel("sinc", 13, math.pi / 2),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.shape)
def test_kernels_sum_to_one_and_lie_centred(kernel):
    values = kernel.weights()
    assert values.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-15)
    y, x = np.mgrid[: len(values), : len(values)] - len(values) // 2
    assert abs((values * x).sum()) < 1e-12 and abs((values * y).sum()) < 1e-12
    image = np.zeros((41, 41, 3), np.float32)
    image[20, 20] = 1
    spread = blur(image, kernel)
    np.testing.assert_allclose(spread.sum(axis=(0, 1)), 1, atol=1e-5)
    reach = kernel.radius
    np.testing.assert_allclose(spread[20 - reach : 21 + reach, 20 - reach : 21 + reach, 1], values, atol=1e-4)


def test_a_gaussian_has_its_covariance():
    kernel = Kernel("gaussian", 31, 1.0, 3.0, 0.6)
    values = kernel.weights()
    y, x = np.mgrid[: len(values), : len(values)] - len(values) // 2
    turn = np.array([[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]])
    expected = turn @ np.diag([1.0, 9.0]) @ turn.T
    found = np.array(
        [[(values * x * x).sum(), (values * x * y).sum()], [(values * x * y).sum(), (values * y * y).sum()]]
    )
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_the_low_pass_filter_is_the_bessel_function():
    distance = np.array([0.0, 0.5, 1.0, 3.7, 14.0])
    expected = np.append(2.0**2 / (4 * np.pi), 2.0 * j1(2.0 * distance[1:]) / (2 * np.pi * distance[1:]))
    np.testing.assert_allclose(low_pass(distance, 2.0), expected, atol=1e-12)


@pytest.mark.parametrize("grey", [False, True])
def test_noise_has_its_strength(grey):
    image = np.full((120, 120, 3), 0.5, np.float32)
    found = (add_noise(image, Noise("gaussian", 12.0, grey), np.random.default_rng(0)) - 0.5) * 255
    assert found.std() == pytest.approx(12, rel=0.02) and abs(found.mean()) < 0.3
    assert (np.ptp(found, axis=2).max() < 1e-4) == grey
    for light in (0.2, 0.8):
        image = np.full((120, 120, 3), light, np.float32)
        found = (add_noise(image, Noise("poisson", 0.7, grey), np.random.default_rng(0)) - light) * 255
        assert found.std() == pytest.approx(0.7 * math.sqrt(255 * light), rel=0.02)
        assert (np.ptp(found, axis=2).max() < 1e-4) == grey


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_jpeg_is_written_as_it_was_asked_for(encoder, subsampling):
    image = np.uint8(cv2.resize(noise_image(6, 6), (64, 64), interpolation=cv2.INTER_CUBIC))
    file = Image.open(io.BytesIO(encode(image, Jpeg(70, subsampling, encoder))))
    factors = file.layer[0][1:3]  # of luma; chroma has 1 and 1
    assert factors == {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}[subsampling]
    assert file.quantization[0][0] == 10  # libjpeg: 16 · (200 - 2 · 70) / 100, rounded
    result = compress(image.astype(np.float32) / 255, Jpeg(70, subsampling, encoder)) * 255
    error = np.abs(result - image).mean()
    assert 0.2 < error < 9  # the colours are not swapped, and something was lost


def test_choices_come_as_often_as_asked():
    found = plans(clean_prob=0.25)
    assert np.mean([not plan.rounds for plan in found]) == pytest.approx(0.25, abs=0.03)
    degraded = [plan for plan in found if plan.rounds]
    first = [plan.rounds[0] for plan in degraded]
    second = [plan.rounds[1] for plan in degraded]
    assert all(each.blur for each in first)
    assert np.mean([each.blur is not None for each in second]) == pytest.approx(0.8, abs=0.03)
    directions = Counter(np.sign(each.factor - 1) for each in first)
    for sign, share in ((1, 0.2), (-1, 0.7), (0, 0.1)):
        assert directions[sign] / len(first) == pytest.approx(share, abs=0.03)
    assert min(each.factor for each in first) >= 0.15 and max(each.factor for each in first) <= 1.5
    gaussian = [each.noise for each in first if each.noise and each.noise.kind == "gaussian"]
    assert len(gaussian) / len(first) == pytest.approx(0.5, abs=0.03)
    assert np.mean([noise.strength for noise in gaussian]) == pytest.approx(15.5, abs=1)
    assert np.mean([each.noise.grey for each in first if each.noise]) == pytest.approx(0.4, abs=0.03)
    sinc = [each.blur for each in first if each.blur and each.blur.shape == "sinc"]
    assert len(sinc) / len(first) == pytest.approx(0.1, abs=0.02)
    assert all(math.pi / 5 <= kernel.sigma_x <= math.pi for kernel in sinc)
    shapes = Counter(each.blur.shape for each in first if each.blur)
    assert shapes["plateau"] / len(first) == pytest.approx(0.9 * 0.15, abs=0.03)
    assert np.mean([plan.sinc is not None for plan in degraded]) == pytest.approx(0.8, abs=0.03)


def test_qualities_are_spread_evenly():
    found = [plan.rounds[1].jpeg for plan in plans(jpeg_range2=(30, 39), jpeg_prob2=0.5)]
    kept = [jpeg for jpeg in found if jpeg]
    assert len(kept) / len(found) == pytest.approx(0.5, abs=0.03)
    counts = Counter(jpeg.quality for jpeg in kept)
    assert sorted(counts) == list(range(30, 40))
    expected = len(kept) / 10
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 27.9  # χ² of 9 degrees, 0.1 %
    assert Counter(jpeg.subsampling for jpeg in kept)["4:2:0"] / len(kept) == pytest.approx(0.6, abs=0.04)
    assert Counter(jpeg.encoder for jpeg in kept)["opencv"] / len(kept) == pytest.approx(0.5, abs=0.04)


def test_clean_pairs_are_matlabs():
    image = noise_image(64, 96)
    result = degrade(image, Plan(), 4, np.random.default_rng(0))
    difference = result.astype(int) - imresize(image, (16, 24))
    assert np.abs(difference).max() <= 1  # MATLAB's rounds after each axis
    assert np.mean(difference != 0) < 0.2


@pytest.mark.parametrize("mode", MODES)
def test_a_round_leaves_lr_where_it_is(mode):
    """Through factors, blur and the last resizing a ramp stays where it is, to a twentieth of a pixel."""
    ramp = np.broadcast_to(np.linspace(20, 235, 192)[None, :, None], (192, 192, 3))
    image = np.rint(ramp).astype(np.uint8)
    plan = Plan((Round(KERNELS[1], mode, 0.71, None, None), Round(KERNELS[0], mode, 1.13, None, None)), mode)
    result = degrade(image, plan, 4, np.random.default_rng(0)).astype(float).mean(axis=(0, 2))
    step = (235 - 20) / 191 * 4  # of one LR pixel
    wanted = 20 + (235 - 20) / 191 * ((np.arange(48) + 0.5) * 4 - 0.5)
    shift = (result - wanted)[8:-8].mean() / step
    assert abs(shift) < 0.05


def test_the_last_jpeg_is_that_of_the_plan():
    image = noise_image(64, 64)
    jpeg = Jpeg(50)
    plan = Plan((Round(None, "area", 1.0, None, None), Round(None, "area", 1.0, None, jpeg)), "area")
    shrunk = resize(image.astype(np.float32) / 255, 16, 16, "area")
    expected = np.rint(compress(shrunk, jpeg) * 255)
    np.testing.assert_array_equal(degrade(image, plan, 4, np.random.default_rng(0)), expected)
    early = dataclasses.replace(plan, jpeg_last=False)  # LR's size already: nothing comes after
    np.testing.assert_array_equal(degrade(image, early, 4, np.random.default_rng(0)), expected)


def test_nothing_is_done_where_nothing_is_wanted():
    options = dataclasses.replace(ONLY_SHRUNK, resize_mode_list2=("bicubic",), resize_mode_prob2=(1.0,))
    plan = draw(options, np.random.default_rng(0))
    assert plan.describe() == f"{plan.rounds[0].mode} bicubic"
    image = noise_image(32, 32)
    clean = degrade(image, Plan(), 4, np.random.default_rng(0))
    np.testing.assert_array_equal(degrade(image, plan, 4, np.random.default_rng(0)), clean)


def test_the_same_numbers_give_the_same_image():
    image, results = noise_image(96, 96), []
    for seed in (3, 3, 4):
        generator = np.random.default_rng(seed)
        results.append(degrade(image, draw(DegradationOptions(), generator), 2, generator))
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clean_prob": 1.5}, "clean_prob must be a probability"),
        ({"resize_prob": (0.2, 0.7, 0.3)}, "resize_prob must be positive and sum to 1"),
        ({"jpeg_range2": (95, 30)}, "jpeg_range2 must rise"),
        ({"noise_range": (-1, 3)}, "noise_range must rise from at least 0"),
        ({"kernel_list": ("iso",)}, "kernel_list and kernel_prob"),
        ({"blur_kernel_size": 8}, "blur_kernel_size must be odd"),
    ],
)
def test_wrong_options_are_named(changes, words):
    with pytest.raises(OptionError, match=words):
        DegradationOptions(**changes)
