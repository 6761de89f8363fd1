"""Denoising measured beside non-local means: what is compared with what, on which noise."""

from pathlib import Path

import numpy as np
import pytest
from skimage import data

from lsm.arch import build_preset
from lsm.benchmark.restoration import (
    METHODS,
    NLM_STRENGTHS,
    measure_denoising,
    noisy_images,
    non_local_means,
    tune_non_local_means,
)
from lsm.errors import OptionError
from lsm.image.io import write_image
from lsm.inference.upscaler import Upscaler

SMALL = {"embed_dim": 8, "depths": (1,), "num_heads": 2, "d_state": 2, "split_size": (4, 4)}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, image in zip(paths, (data.astronaut()[:40, 100:150], data.coffee()[100:140, 100:150]), strict=True):
        write_image(path, image)
    return paths


@pytest.fixture
def identity() -> Upscaler:
    """An untrained network, which returns its input."""
    return Upscaler(build_preset("tiny", 1, task="denoise", **SMALL).eval(), tile=0, device="cpu")


def test_every_method_gets_the_same_noise(files: list[Path], identity: Upscaler) -> None:
    scores = list(measure_denoising("set", files, [15, 50], identity))
    assert [score.method for score in scores] == list(METHODS) * 4
    assert [score.sigma for score in scores[:: len(METHODS)]] == [15, 50, 15, 50]
    values = {(score.image, score.sigma, score.method): score.psnr for score in scores}
    for image in ("a", "b"):
        # What returns its input is as good as the noisy image, whose noise is clamped at the end in both protocols.
        same = {values[image, 15, method] for method in ("noisy", "LSM", "LSM, unclipped noise")}
        assert len({round(value, 9) for value in same}) == 1
        assert values[image, 15, "non-local means"] > values[image, 15, "noisy"] + 1
        assert values[image, 15, "noisy"] == pytest.approx(20 * np.log10(255 / 15), abs=0.9)


def test_noise_of_the_files_is_that_of_the_literature_rounded() -> None:
    clean = data.astronaut()[:40, 100:150]
    noisy, file = noisy_images(clean, "a", 25)
    np.testing.assert_array_equal(file, np.clip(np.round(noisy * 255), 0, 255))
    assert noisy.min() < 0 or noisy.max() > 1


def test_colours_keep_their_places() -> None:
    """Noise in red alone goes, and no channel takes another's mean: OpenCV's function takes BGR."""
    image = np.full((48, 48, 3), (160, 128, 90), float)
    image[..., 0] += np.random.default_rng(0).normal(0, 20, (48, 48))
    noisy = np.uint8(np.clip(image, 0, 255))
    result = non_local_means(noisy, (40.0, 40.0))
    assert result[..., 0].std() < 0.5 * noisy[..., 0].std()
    assert np.abs(result.mean((0, 1)) - noisy.mean((0, 1))).max() < 3


def test_tuning_measures_the_whole_grid(files: list[Path]) -> None:
    values = tune_non_local_means(files, 20, ((0.1, 0.5), (0.5,)))
    assert set(values) == {(2.0, 10.0), (10.0, 10.0)}
    assert values[10.0, 10.0] > values[2.0, 10.0] + 1


def test_a_sigma_without_strengths_is_refused(files: list[Path], identity: Upscaler) -> None:
    with pytest.raises(OptionError, match="not tuned for sigma 30, only for 15, 25, 50"):
        list(measure_denoising("set", files, [30], identity))
    assert list(NLM_STRENGTHS) == [15, 25, 50]
