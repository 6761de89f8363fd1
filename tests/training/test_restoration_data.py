"""Datasets of degraded images: reproducible in validation and training, right in strength and place."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from small_training import smooth_image
from torch.utils.data import DataLoader

from lsm.data.degradations import compress, to_grey
from lsm.errors import InputError, OptionError
from lsm.image.io import write_image
from lsm.training.options import read_options
from lsm.training.restoration import JpegImages, NoisyImages
from lsm.training.sampling import ReproducibleSamples

NOISE = {"sigma": 25, "clipped": 0.0, "grey": 0.0, "seed": 0}
JPEG = {"quality": 20, "grey": 0.0, "seed": 0}


def settings(images, phase="val", **more):
    return {"dataroot_gt": str(images), "phase": phase, "scale": 1, "use_hflip": True, "use_rot": True, **more}


def as_image(tensor):
    return np.uint8(np.round(tensor.numpy().transpose(1, 2, 0) * 255))


def test_validation_has_the_same_noise_whatever_worker_and_order(images):
    dataset = NoisyImages(settings(images, **NOISE))
    expected = [dataset[index] for index in range(5)]
    random.seed(5)
    for index in (3, 0, 4):
        assert torch.equal(dataset[index]["lq"], expected[index]["lq"])
    for index, sample in enumerate(DataLoader(dataset, num_workers=2)):
        assert torch.equal(sample["lq"][0], expected[index]["lq"])
    (images / "im1.png").unlink()
    assert torch.equal(NoisyImages(settings(images, **NOISE))[1]["lq"], expected[2]["lq"])
    other = NoisyImages(settings(images, **{**NOISE, "seed": 1}))
    assert not torch.equal(other[0]["lq"], expected[0]["lq"])


def test_validation_adds_noise_of_its_sigma_to_whole_images(images):
    dataset = NoisyImages(settings(images, **NOISE))
    noise = torch.cat([(dataset[index]["lq"] - dataset[index]["gt"]).flatten() for index in range(5)]) * 255
    assert float(noise.std()) == pytest.approx(25, rel=0.02)
    np.testing.assert_array_equal(as_image(dataset[2]["gt"]), smooth_image(2))


def test_blind_noise_covers_its_range_evenly(images):
    opt = settings(images, "train", gt_size=32, **{**NOISE, "sigma": (10, 50)})
    samples = ReproducibleSamples(NoisyImages(opt), seed=0)
    sigmas = np.array([float((s["lq"] - s["gt"]).std()) * 255 for s in (samples[n] for n in range(200))])
    assert 9 < sigmas.min() < 13 and 47 < sigmas.max() < 52
    assert sigmas.mean() == pytest.approx(30, abs=2.5)


def test_shares_of_grey_and_clipped_patches(images):
    opt = settings(images, "train", gt_size=16, **{**NOISE, "sigma": 90, "grey": 0.25, "clipped": 0.5})
    samples = ReproducibleSamples(NoisyImages(opt), seed=0)
    drawn = [samples[n] for n in range(200)]
    grey = [bool((s["lq"] == s["lq"][:1]).all() and (s["gt"] == s["gt"][:1]).all()) for s in drawn]
    clipped = [bool(s["lq"].min() >= 0 and s["lq"].max() <= 1) for s in drawn]
    assert np.mean(grey) == pytest.approx(0.25, abs=0.1)
    assert np.mean(clipped) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("kind", [NoisyImages, JpegImages])
def test_a_sample_of_a_training_is_a_function_of_its_number(images, kind):
    more = {**NOISE, "sigma": (0, 55)} if kind is NoisyImages else {**JPEG, "quality": (10, 90)}
    samples = ReproducibleSamples(kind(settings(images, "train", gt_size=24, **more)), seed=3)
    first = [samples[n]["lq"] for n in range(6)]
    for n in (5, 2, 0):
        assert torch.equal(samples[n]["lq"], first[n])
    assert not torch.equal(samples[6]["lq"], first[1])
    assert first[0].shape == (3, 24, 24) and first[0].dtype == torch.float32


def test_validation_compresses_whole_images_at_the_quality(images):
    dataset, grey = (JpegImages(settings(images, **{**JPEG, "grey": share})) for share in (0.0, 1.0))
    np.testing.assert_array_equal(as_image(dataset[1]["lq"]), compress(smooth_image(1), 20))
    np.testing.assert_array_equal(as_image(grey[1]["gt"]), to_grey(smooth_image(1)))
    np.testing.assert_array_equal(as_image(grey[1]["lq"]), compress(to_grey(smooth_image(1)), 20, grey=True))


def test_the_grid_of_jpeg_lies_anywhere_in_a_training(tmp_path):
    """Of a ramp, whose jumps are at the borders of blocks."""
    ramp = np.repeat(np.tile(np.linspace(60, 200, 64), (64, 1)).astype(np.uint8)[..., None], 3, axis=2)
    write_image(tmp_path / "ramp.png", ramp)
    opt = settings(tmp_path, "train", gt_size=40, quality=3, grey=1.0) | {"use_hflip": False, "use_rot": False}
    samples = ReproducibleSamples(JpegImages(opt), seed=0)
    phases = set()
    for n in range(60):
        jumps = np.abs(np.diff(samples[n]["lq"][0].numpy(), axis=1)).mean(axis=0)
        phases.add(int(np.argmax([jumps[phase::8].mean() for phase in range(8)])))
    assert len(phases) >= 6


def test_images_too_small_are_named(images):
    with pytest.raises(InputError, match=r"im0\.png is 45x41, smaller than gt_size 36 and the 7 pixels more"):
        JpegImages(settings(images, "train", gt_size=36, **JPEG))


@pytest.fixture
def restoring(content):
    content["scale"] = 1
    content["network_g"] |= {"upscale": 1, "task": "denoise", "unshuffle": 2}
    content["datasets"]["train"] |= {"type": "NoisyImages", "sigma": [0, 55]}
    return content


def test_options_have_their_defaults(restoring, option_file):
    train = read_options(option_file(restoring))["datasets"]["train"]
    assert (train["sigma"], train["clipped"], train["grey"], train["seed"]) == ((0, 55), 0, 0, 0)
    assert "quality" not in train


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sigma": None}, "NoisyImages needs sigma"),
        ({"sigma": [50, 10]}, "above the second"),
        ({"sigma": -1}, "greater than or equal to 0"),
        ({"quality": 10}, "NoisyImages takes no quality"),
        ({"type": "JpegImages"}, "JpegImages needs quality"),
        ({"type": "JpegImages", "sigma": None, "quality": [0, 50]}, "greater than or equal to 1"),
        ({"type": "JpegImages", "sigma": None, "quality": 50}, "JpegImages is for the task jpeg, not denoise"),
        ({"type": "ImagePairs"}, "ImagePairs takes no sigma"),
        ({"type": "ImagePairs", "sigma": None}, "dataroot_lq: Field required at scale 1"),
        ({"clipped": 1.5}, "less than or equal to 1"),
    ],
)
def test_wrong_options_are_told(restoring, option_file, change, said):
    train = restoring["datasets"]["train"] | change
    restoring["datasets"]["train"] = {key: value for key, value in train.items() if value is not None}
    with pytest.raises(OptionError, match=said):
        read_options(option_file(restoring))


def test_noise_is_no_task_of_super_resolution(content, option_file, images):
    content["datasets"]["train"] |= {"type": "NoisyImages", "sigma": 25}
    with pytest.raises(OptionError, match="NoisyImages is for the task denoise, not sr"):
        read_options(option_file(content))


def test_a_folder_of_pairs_can_be_restored_too(restoring, option_file, images):
    restoring["datasets"]["train"] = {
        "dataroot_gt": str(images),
        "dataroot_lq": str(images),
        "gt_size": 16,
        "batch_size": 2,
    }
    assert read_options(option_file(restoring))["datasets"]["train"]["type"] == "ImagePairs"
