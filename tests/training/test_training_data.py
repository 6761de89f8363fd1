from __future__ import annotations

import random

import numpy as np
import pytest
from small_training import smooth_image

from lsm.errors import InputError
from lsm.image.io import write_image
from lsm.image.resize import imresize
from lsm.training.data import ImagePairs, find_pairs, random_flips, random_patch


def settings(images, phase="val", scale=2, **more):
    return {"dataroot_gt": str(images), "phase": phase, "scale": scale, "use_hflip": True, "use_rot": True, **more}


def as_image(tensor):
    return np.uint8(np.round(tensor.numpy().transpose(1, 2, 0) * 255))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("in_memory", [True, False])
def test_low_resolution_is_matlab_bicubic_of_the_cropped_image(images, scale, in_memory):
    pairs = ImagePairs(settings(images, scale=scale, in_memory=in_memory))
    for index in range(5):
        image = smooth_image(index)
        high = image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
        np.testing.assert_array_equal(as_image(pairs[index]["gt"]), high)
        np.testing.assert_array_equal(as_image(pairs[index]["lq"]), imresize(high, 1 / scale))


@pytest.mark.parametrize("name", ["{}", "{}x2", "{}_LRBI_x2"])
def test_low_resolution_files_are_preferred(images, tmp_path, name):
    low = tmp_path / "LR"
    low.mkdir()
    for index in range(5):
        write_image(low / f"{name.format(f'im{index}')}.png", smooth_image(100 + index, 20, 22))
    pairs = ImagePairs(settings(images, dataroot_lq=str(low)))
    np.testing.assert_array_equal(as_image(pairs[3]["lq"]), smooth_image(103, 20, 22))
    assert pairs[3]["lq_path"].endswith(f"{name.format('im3')}.png")


def test_bad_pairs_are_named_before_training(images, tmp_path):
    low = tmp_path / "LR"
    low.mkdir()
    for index in range(4):
        write_image(low / f"im{index}x2.png", smooth_image(index, 20, 22))
    with pytest.raises(InputError, match=r"no low-resolution file for .*im4\.png \(1 of 5 are missing\)"):
        find_pairs(settings(images, dataroot_lq=str(low)))
    with pytest.raises(InputError, match=r"no low-resolution file for .*im0\.png \(5 of 5"):
        find_pairs(settings(images, dataroot_lq=str(low), filename_tmpl="small_{}"))
    write_image(low / "im4x2.png", smooth_image(4, 22, 20))
    with pytest.raises(InputError, match=r"im4x2\.png is 20x22, but .*im4\.png at scale 2 needs 22x20"):
        ImagePairs(settings(images, dataroot_lq=str(low)))
    with pytest.raises(InputError, match=r"im0\.png is 45x41, smaller than gt_size 44"):
        ImagePairs(settings(images, phase="train", gt_size=44))


def test_meta_info_file_chooses_images(images, tmp_path):
    listing = tmp_path / "some.txt"
    listing.write_text("im3.png (41,45,3)\nim1.png (41,45,3)\n")
    pairs = ImagePairs(settings(images, meta_info_file=str(listing)))
    assert [pair.hr.name for pair in pairs.pairs] == ["im1.png", "im3.png"]


def test_empty_choices_are_named(images, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty holds no image"):
        find_pairs(settings(empty))
    (tmp_path / "none.txt").write_text("other.png\n")
    with pytest.raises(InputError, match=r"HR holds no image that .*none"):
        find_pairs(settings(images, meta_info_file=str(tmp_path / "none.txt")))


def test_file_name_template_decides(images, tmp_path):
    low = tmp_path / "LR"
    low.mkdir()
    for index in range(5):
        write_image(low / f"small_im{index}.png", smooth_image(50 + index, 20, 22))
    pairs = ImagePairs(settings(images, dataroot_lq=str(low), filename_tmpl="small_{}"))
    np.testing.assert_array_equal(as_image(pairs[2]["lq"]), smooth_image(52, 20, 22))


def test_patches_of_a_pair_show_the_same_place():
    """Coordinates as pixel values: every high-resolution pixel must name its low-resolution one."""
    y, x = np.mgrid[:20, :24]
    low = np.uint8(np.stack([y, x, x + y], -1))
    high = low.repeat(3, 0).repeat(3, 1)
    random.seed(0)
    corners = set()
    for _ in range(300):
        high_patch, low_patch = random_patch(high, low, 12, 3)
        np.testing.assert_array_equal(low_patch.repeat(3, 0).repeat(3, 1), high_patch)
        assert np.shares_memory(high_patch, high)
        corners.add(tuple(low_patch[0, 0, :2]))
    assert {0, 16} <= {row for row, _ in corners} and {0, 20} <= {column for _, column in corners}


def test_flips_reach_all_orientations_alike():
    low = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    high = low.repeat(2, 0).repeat(2, 1)
    random.seed(0)
    seen = {"both": set(), "hflip": set(), "rot": set(), "none": set()}
    for _ in range(100):
        for name, choice in {"both": (1, 1), "hflip": (1, 0), "rot": (0, 1), "none": (0, 0)}.items():
            high_turned, low_turned = random_flips(high, low, *map(bool, choice))
            np.testing.assert_array_equal(low_turned.repeat(2, 0).repeat(2, 1), high_turned)
            seen[name].add((low_turned.shape, low_turned.tobytes()))
    assert {name: len(found) for name, found in seen.items()} == {"both": 8, "hflip": 2, "rot": 4, "none": 1}
