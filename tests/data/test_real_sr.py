"""The conditions of `real-sr-y`: each against its definition made by other means, the same wherever it is made."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from lsm.data.datasets import find_set
from lsm.data.prepare import PrepareOptions, prepare
from lsm.data.real_sr import CONDITIONS, Condition, lr_pixels, make_lr
from lsm.errors import InputError
from lsm.image.resize import imresize

HR = np.ascontiguousarray(data.astronaut()[:128, 150:278])
BY_NAME = {condition.name: condition for condition in CONDITIONS}


def opened(condition: Condition, name: str = "a") -> Image.Image:
    return Image.open(io.BytesIO(make_lr(HR, 4, condition, name)[0]))


def test_there_are_the_nine():
    assert list(BY_NAME) == [
        "clean", "jpeg95", "jpeg85", "jpeg75", "jpeg50", "jpeg30", "noise10", "linear", "mixed",
    ]  # fmt: skip
    assert BY_NAME["clean"].folder == "LR_bicubic" and BY_NAME["jpeg75"].folder == "LR_jpeg75"
    np.testing.assert_array_equal(np.asarray(opened(BY_NAME["clean"])), imresize(HR, 0.25))


@pytest.mark.parametrize("quality", [95, 85, 75, 50, 30])
def test_jpegs_are_pillows_of_the_clean_one(quality):
    buffer = io.BytesIO()
    Image.fromarray(imresize(HR, 0.25)).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    data, ending = make_lr(HR, 4, BY_NAME[f"jpeg{quality}"], "a")
    assert ending == ".jpg" and data == buffer.getvalue()


def test_linear_is_opencvs():
    expected = cv2.resize(HR, (32, 32), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(np.asarray(opened(BY_NAME["linear"])), expected)


def test_noise_is_white_of_its_sigma_and_follows_from_the_name():
    grey = np.full((512, 512, 3), 128, np.uint8)
    noise = lr_pixels(grey, 4, BY_NAME["noise10"], "a").astype(float) - 128
    assert noise.std() == pytest.approx(10, rel=0.02) and abs(noise.mean()) < 0.2
    np.testing.assert_array_equal(noise, lr_pixels(grey, 4, BY_NAME["noise10"], "a") - 128.0)
    assert (noise != lr_pixels(grey, 4, BY_NAME["noise10"], "b") - 128.0).mean() > 0.9


def test_mixed_is_blurred_noisy_and_compressed():
    file = opened(BY_NAME["mixed"])
    assert file.quantization[0][0] == 13  # libjpeg: 16 · (200 - 2 · 60) / 100, rounded
    soft = np.asarray(Image.fromarray(HR).filter(ImageFilter.GaussianBlur(1.2)))
    before = lr_pixels(HR, 4, BY_NAME["mixed"], "a").astype(float)
    noise = before - imresize(soft, 0.25)
    assert noise.std() == pytest.approx(5, rel=0.12)
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.06


def test_a_set_is_prepared_and_found_again(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    Image.fromarray(HR).save(source / "im.png")
    done = prepare(source, tmp_path / "Mine", PrepareOptions((2, 4), real_sr=True))
    assert len(done[0].files) == 1 + 2 * len(CONDITIONS)
    for scale in (2, 4):
        for condition in CONDITIONS:
            found = find_set(tmp_path, "Mine", scale, lr_folder=condition.folder)
            (pair,) = found.pairs
            assert pair.lr is not None and pair.lr.parent == tmp_path / "Mine" / condition.folder / f"X{scale}"
            assert pair.lr.read_bytes() == make_lr(HR, scale, condition, "im")[0] or condition.is_clean
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "Mine").rglob("*.*g")}
    prepare(source, tmp_path / "Mine", PrepareOptions((2, 4), real_sr=True))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "Mine").rglob("*.*g")} == before
    with pytest.raises(InputError, match=r"LR_jpeg75/X3: prepare the set with `real_sr`"):
        find_set(tmp_path, "Mine", 3, lr_folder="LR_jpeg75")
