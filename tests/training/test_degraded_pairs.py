"""The dataset of degraded pairs: reproducible, aligned, its distribution that of the config, its options checked."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from small_training import smooth_image
from torch.utils.data import DataLoader

from lsm.errors import InputError, OptionError
from lsm.image.io import read_rgb, write_image
from lsm.image.resize import imresize
from lsm.training.degraded_pairs import DegradedPairs
from lsm.training.options import read_options
from lsm.training.sampling import ReproducibleSamples

CLEAN = {"clean_prob": 1.0}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "HR"
    path.mkdir()
    for index in range(3):
        write_image(path / f"im{index}.png", smooth_image(index, 97, 103))
    return path


def settings(folder, phase="train", **degradation):
    more = {"gt_size": 48, "use_hflip": True, "use_rot": True} if phase == "train" else {}
    return {"dataroot_gt": str(folder), "phase": phase, "scale": 2, "degradation": degradation, "seed": 0, **more}


def as_image(tensor):
    return np.uint8(np.round(tensor.numpy().transpose(1, 2, 0) * 255))


def test_a_sample_of_a_training_is_a_function_of_its_number(folder):
    samples = ReproducibleSamples(DegradedPairs(settings(folder)), seed=3)
    first = [samples[n] for n in range(6)]
    random.seed(9)
    for n in (5, 2, 0):
        assert torch.equal(samples[n]["lq"], first[n]["lq"]) and torch.equal(samples[n]["gt"], first[n]["gt"])
    assert not torch.equal(samples[6]["lq"], first[0]["lq"])
    assert first[0]["lq"].shape == (3, 24, 24) and first[0]["gt"].shape == (3, 48, 48)
    for number, sample in enumerate(DataLoader(samples, batch_sampler=[[0], [1], [2]], num_workers=1)):
        assert torch.equal(sample["lq"][0], first[number]["lq"])


def test_validation_is_the_same_whatever_comes_before(folder):
    dataset = DegradedPairs(settings(folder, "val"))
    expected = [dataset[index] for index in range(3)]
    random.seed(5)
    assert torch.equal(dataset[2]["lq"], expected[2]["lq"])
    assert expected[0]["gt"].shape == (3, 96, 102) and expected[0]["lq"].shape == (3, 48, 51)
    (folder / "im0.png").unlink()
    assert torch.equal(DegradedPairs(settings(folder, "val"))[0]["lq"], expected[1]["lq"])
    other = DegradedPairs({**settings(folder, "val"), "seed": 1})
    assert not torch.equal(other[1]["lq"], expected[2]["lq"])


def test_patches_of_clean_pairs_are_bicubic_and_lie_where_hr_does(folder):
    samples = ReproducibleSamples(DegradedPairs(settings(folder, **CLEAN)), seed=0)
    for number in range(6):
        sample = samples[number]
        expected = imresize(as_image(sample["gt"]).astype(float), 0.5)
        difference = np.abs(as_image(sample["lq"]) - expected)
        assert difference[3:-3, 3:-3].max() < 1  # but for rounding; the crop's own edge is mirrored here


def test_the_grid_of_jpeg_lies_anywhere(folder):
    """Of a strong compression all eight places of the blocks' edges occur."""
    jpeg = {
        "jpeg_prob2": 1.0,
        "jpeg_range2": (3, 3),
        "jpeg_subsampling_list": ("4:4:4",),
        "jpeg_subsampling_prob": (1,),
    }
    nothing = {"blur_prob": 0, "blur_prob2": 0, "noise_prob": 0, "noise_prob2": 0, "jpeg_prob": 0, "final_sinc_prob": 0}
    keep = {"resize_prob": (0, 0, 1), "resize_prob2": (0, 0, 1)}
    samples = ReproducibleSamples(DegradedPairs(settings(folder, **jpeg, **nothing, **keep)), seed=0)
    places = set()
    for number in range(40):
        steps = np.abs(np.diff(samples[number]["lq"].numpy(), axis=2)).mean(axis=(0, 1))
        places.add(int(np.argmax([steps[place::8].mean() for place in range(8)])))
    assert len(places) >= 6


def test_an_image_without_room_for_the_margin_is_named(folder):
    write_image(folder / "small.png", smooth_image(1, 60, 90))
    with pytest.raises(InputError, match=r"small.png is 90x60, smaller than gt_size 48 and the 16 pixels more"):
        DegradedPairs(settings(folder))


def test_a_config_is_checked(content, option_file, folder):
    section = {"clean_prob": 0.25, "resize_prob": [0, 0, 1], "second_blur_prob": 0.5, "jpeg_range2": [30, 95]}
    content["datasets"]["train"] |= {"type": "DegradedPairs", "dataroot_gt": str(folder), "degradation": section}
    read = read_options(option_file(content))["datasets"]["train"]
    assert read["degradation"]["blur_prob2"] == 0.5 and read["degradation"]["noise_range"] == (1.0, 30.0)
    assert len(DegradedPairs({**read, "scale": 2, "phase": "train"})) == 3

    def complaint(**changes):
        content["datasets"]["train"]["degradation"] = {**section, **changes}
        with pytest.raises(OptionError) as error:
            read_options(option_file(content))
        return str(error.value)

    assert "datasets.train.degradation: Unknown key 'jpeg_rang'. Did you mean 'jpeg_range'" in complaint(
        jpeg_rang=[1, 2]
    )
    assert "jpeg_range2 must rise" in complaint(jpeg_range2=[95, 30])
    assert "nearest" in complaint(resize_mode_list=["nearest-exact"], resize_mode_prob=[1])
    content["datasets"]["train"].pop("degradation")
    with pytest.raises(OptionError, match="DegradedPairs needs degradation"):
        read_options(option_file(content))


def test_a_sheet_of_samples_is_drawn(content, option_file, folder, tmp_path):
    from typer.testing import CliRunner

    from lsm.cli import app

    content["datasets"]["train"] |= {"type": "DegradedPairs", "dataroot_gt": str(folder), "degradation": CLEAN}
    output = tmp_path / "sheet.png"
    command = [
        "data",
        "degradations",
        "-opt",
        str(option_file(content)),
        "-o",
        str(output),
        "--count",
        "4",
        "--side",
        "64",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    sheet = read_rgb(output)
    patch, shrunk = sheet[6:70, 6:70], sheet[6:70, 76:140][::2, ::2]
    np.testing.assert_allclose(shrunk.astype(float)[3:-3, 3:-3], imresize(patch, (32, 32))[3:-3, 3:-3], atol=1)
