import importlib.util
import sys
import types

import numpy as np
import pytest
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lsm.errors import InputError, OptionError
from lsm.image.resize import imresize
from lsm.metrics import PROTOCOL, psnr, psnr_b, rgb_to_y, ssim


@pytest.fixture(scope="module")
def basicsr_metrics():
    """basicsr's metrics, with a stand-in for the torchvision module that newer releases dropped."""
    if importlib.util.find_spec("basicsr") is None:
        pytest.skip("basicsr is not installed")
    name = "torchvision.transforms.functional_tensor"
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        stand_in = types.ModuleType(name)
        stand_in.rgb_to_grayscale = None
        sys.modules[name] = stand_in
    from basicsr.metrics.psnr_ssim import calculate_psnr, calculate_ssim

    return calculate_psnr, calculate_ssim


def _pairs():
    photograph = data.astronaut()[100:301, 50:241]
    noise = np.random.default_rng(0).integers(-20, 21, photograph.shape)
    yield photograph, np.clip(photograph + noise, 0, 255).astype(np.uint8)
    small = imresize(data.cat()[:240, :300], 1 / 4)
    yield data.cat()[:240, :300], imresize(small, 4)


@pytest.mark.parametrize("channel", ["y", "rgb"])
@pytest.mark.parametrize("crop", [0, 2, 3, 4])
def test_agrees_with_basicsr(basicsr_metrics, channel, crop):
    calculate_psnr, calculate_ssim = basicsr_metrics
    for a, b in _pairs():
        bgr = (a[..., ::-1], b[..., ::-1])
        on_y = channel == "y"
        assert psnr(a, b, crop, channel) == pytest.approx(calculate_psnr(*bgr, crop, test_y_channel=on_y), abs=1e-6)
        assert ssim(a, b, crop, channel) == pytest.approx(calculate_ssim(*bgr, crop, test_y_channel=on_y), abs=1e-6)


def test_agrees_with_scikit_image():
    for a, b in _pairs():
        ours, theirs = rgb_to_y(a), rgb_to_y(b)
        assert psnr(a, b, 0) == pytest.approx(peak_signal_noise_ratio(ours, theirs, data_range=255), abs=1e-9)
        # scikit-image cuts its Gaussian at 3.5 sigma, which is this window of 11, and averages the same valid region.
        expected = structural_similarity(
            ours, theirs, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim(a, b, 0) == pytest.approx(expected, abs=1e-9)


def test_luma_of_known_colours():
    image = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(rgb_to_y(image), [[16.0, 235.0, 81.481, 40.966]], atol=1e-9)


def test_equal_images():
    image = data.cat()[:40, :50]
    assert psnr(image, image, 2) == float("inf")
    assert ssim(image, image, 2) == pytest.approx(1.0)


def test_cropped_border_does_not_count():
    image = data.cat()[:40, :50].copy()
    spoilt = image.copy()
    spoilt[:4] = spoilt[-4:] = 0
    spoilt[:, :4] = spoilt[:, -4:] = 255
    assert psnr(image, spoilt, 4) == float("inf")
    assert np.isfinite(psnr(image, spoilt, 3))


def test_the_protocol_is_named_and_written_down():
    assert PROTOCOL.startswith("classical-sr-y:")
    for word in ("uint8", "BT.601", "crop", "11x11", "1.5", "MATLAB bicubic", "multiple"):
        assert word in PROTOCOL


def test_refuses_what_cannot_be_compared():
    image = np.zeros((30, 30, 3), np.uint8)
    for other, crop in ((image[:20], 0), (image.astype(float), 0), (image[..., 0], 0), (image, 15), (image, -1)):
        with pytest.raises(InputError):
            psnr(image, other, crop)
    with pytest.raises(InputError, match="11x11"):
        ssim(image, image, 10)
    with pytest.raises(OptionError, match="Did you mean"):
        psnr(image, image, 0, "rgbb")


PUBLISHED = {
    ("Set5", 2): (33.66, 0.9299),
    ("Set5", 3): (30.39, 0.8682),
    ("Set5", 4): (28.42, 0.8104),
    ("B100", 2): (29.56, 0.8431),
    ("B100", 3): (27.21, 0.7385),
    ("B100", 4): (25.96, 0.6675),
}


def _images(shared, name, scale):
    folder = shared / "data" / name
    folder = folder / f"HR_x{scale}" if (folder / f"HR_x{scale}").is_dir() else folder / "HR"
    for path in sorted(folder.glob("*.png")):
        image = np.asarray(Image.open(path).convert("RGB"))
        height, width = (side // scale * scale for side in image.shape[:2])
        yield image[:height, :width]


@pytest.mark.parametrize(
    ("name", "scale"),
    [  # a hundred images take long: one scale of them is enough each time
        pytest.param(*row, marks=pytest.mark.slow if row in (("B100", 2), ("B100", 3)) else ()) for row in PUBLISHED
    ],
)
def test_bicubic_comes_near_the_published_row(shared, name, scale):
    values = []
    for image in _images(shared, name, scale):
        result = imresize(imresize(image, 1 / scale), float(scale))
        values.append((psnr(image, result, scale), ssim(image, result, scale)))
    mean = np.mean(values, axis=0)
    assert mean[0] == pytest.approx(PUBLISHED[name, scale][0], abs=0.015)
    assert mean[1] == pytest.approx(PUBLISHED[name, scale][1], abs=0.001)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_remains_to_the_published_row_is_rounding(shared, scale):
    """Those rows resized a rounded Y, and rounded only the result: so computed, they come out to the last digit."""
    values = []
    for image in _images(shared, "Set5", scale):
        luma = np.floor(rgb_to_y(image) + 0.5)
        result = np.floor(np.clip(imresize(imresize(luma, 1 / scale), float(scale)), 0, 255) + 0.5)
        a, b = (plane[scale:-scale, scale:-scale] for plane in (luma, result))
        likeness = structural_similarity(
            a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        values.append((peak_signal_noise_ratio(a, b, data_range=255), likeness))
    mean = np.mean(values, axis=0)
    assert mean[0] == pytest.approx(PUBLISHED["Set5", scale][0], abs=0.005)
    assert mean[1] == pytest.approx(PUBLISHED["Set5", scale][1], abs=0.0002)


def written_out_psnr_b(restored: np.ndarray, true: np.ndarray) -> float:
    """PSNR-B of two grey planes by the sums of Yim & Bovik's equations, pixel by pixel."""
    height, width = restored.shape
    between, within = [], []
    for y in range(height):
        for x in range(width):
            if x + 1 < width:
                (between if (x + 1) % 8 == 0 else within).append((restored[y, x] - restored[y, x + 1]) ** 2)
            if y + 1 < height:
                (between if (y + 1) % 8 == 0 else within).append((restored[y, x] - restored[y + 1, x]) ** 2)
    d_between, d_within = sum(between) / len(between), sum(within) / len(within)
    eta = np.log2(8) / np.log2(min(height, width)) if d_between > d_within else 0.0
    mse = sum((restored[y, x] - true[y, x]) ** 2 for y in range(height) for x in range(width)) / (height * width)
    return 10 * np.log10(255**2 / (mse + eta * (d_between - d_within)))


@pytest.mark.parametrize("blocky", [True, False])
def test_psnr_b_is_what_the_paper_defines(blocky: bool) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(90, 110, (17, 20))
    restored = np.kron(rng.integers(80, 120, (3, 3)), np.ones((8, 8), int))[:17, :20] if blocky else true + 3
    if not blocky:
        restored[:, 7:9] = 100  # smoother between blocks than within
    a, b = (np.repeat(plane[..., None], 3, axis=2).astype(np.uint8) for plane in (restored, true))
    expected = written_out_psnr_b(restored.astype(float), true.astype(float))
    assert psnr_b(a, b, 0, "rgb") == pytest.approx(expected, abs=1e-9)
    assert (psnr_b(a, b, 0, "rgb") < psnr(a, b, 0, "rgb")) == blocky


def test_psnr_b_counts_blocks_from_the_corner_of_the_whole_image() -> None:
    rows = np.arange(40) // 8 * 20
    blocks = np.repeat(np.broadcast_to(rows, (40, 40))[..., None], 3, axis=2).astype(np.uint8)
    blocks = blocks + np.random.default_rng(0).integers(0, 3, blocks.shape, dtype=np.uint8)
    for crop in (0, 3, 8):
        assert psnr_b(blocks, blocks, crop, "rgb") < 45  # equal, but blocky
    shifted = blocks[:, 4:]
    assert psnr_b(shifted, shifted, 0, "rgb") == float("inf")


def test_psnr_b_of_small_images() -> None:
    assert psnr_b(np.zeros((5, 5, 3), np.uint8), np.full((5, 5, 3), 5, np.uint8), 0, "rgb") == pytest.approx(
        10 * np.log10(255**2 / 25)
    )
    with pytest.raises(InputError, match="2x2"):
        psnr_b(np.zeros((1, 9, 3), np.uint8), np.zeros((1, 9, 3), np.uint8), 0)


def test_colour_denoising_is_measured_over_the_three_colours_without_crop() -> None:
    skimage = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (33, 41, 3), dtype=np.uint8)
    result = np.clip(clean + rng.normal(0, 25, clean.shape), 0, 255).astype(np.uint8)
    assert psnr(result, clean, 0, "rgb") == pytest.approx(skimage.peak_signal_noise_ratio(clean, result))
    squares = (result.astype(float) - clean.astype(float)) ** 2
    assert psnr(result, clean, 0, "rgb") == pytest.approx(10 * np.log10(255**2 / (squares.sum() / (33 * 41 * 3))))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    planes = [
        skimage.structural_similarity(clean[..., i], result[..., i], full=True, **settings)[1][5:-5, 5:-5].mean()
        for i in range(3)
    ]
    assert ssim(result, clean, 0, "rgb") == pytest.approx(np.mean(planes), abs=1e-6)
