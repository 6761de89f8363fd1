from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from small_training import smooth_image
from torch.utils.data import DataLoader

from lsm.data.lmdb import write_lmdb
from lsm.errors import InputError, OptionError
from lsm.image.io import write_image
from lsm.image.resize import imresize
from lsm.training.compat import build_dataset
from lsm.training.data import ImagePairs, SingleImages, find_pairs, random_flips, random_patch
from lsm.training.options import read_options


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


def published(images, lq, **more):
    """A section of a training as others publish it."""
    roots = {"dataroot_gt": str(images), "dataroot_lq": str(lq)}
    return {"type": "PairedImageDataset", **roots, "io_backend": {"type": "disk"}, "gt_size": 16, **more}


@pytest.fixture
def low(images):
    """A folder of low-resolution files beside the images."""
    folder = images.parent / "LR"
    folder.mkdir()
    for index in range(5):
        write_image(folder / f"im{index}x2.png", smooth_image(index, 20, 22))
    return folder


@pytest.fixture
def build(content, option_file):
    """Build the training set of a config, through the checks."""

    def make(section):
        content["datasets"]["train"] = {"batch_size_per_gpu": 1, **section}
        options = read_options(option_file(content))
        return build_dataset(options["datasets"]["train"] | {"phase": "train", "scale": 2})

    return make


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda hr, lr: (lr / "im3x2.png").unlink(), r"LR has no low-resolution file for .*im3\.png \(1 of 5"),
        (lambda hr, lr: write_image(lr / "im1x2.png", smooth_image(0, 19, 22)), r"im1x2\.png is 22x19, but"),
        (lambda hr, lr: cut_off(hr / "im2.png"), r"im2\.png: damaged or cut off"),
        (lambda hr, lr: cut_off(lr / "im2x2.png"), r"im2x2\.png: damaged or cut off"),
        (lambda hr, lr: write_image(hr / "im4.png", smooth_image(4, 15, 60)), r"im4\.png is 60x15, smaller than gt_"),
    ],
)
def test_bad_files_of_a_paired_image_dataset_are_named_before_training(build, images, low, spoil, message):
    spoil(images, low)
    with pytest.raises(InputError, match=message):
        build(published(images, low))


def test_what_is_no_image_is_left_out_and_any_format_is_read(build, images, low):
    for folder in (images, low):
        (folder / "Thumbs.db").write_bytes(b"\0" * 100)
        (folder / ".DS_Store").write_bytes(b"\0")
    for index in range(5):
        (low / f"im{index}x2.png").unlink()
        write_image(low / f"im{index}.jpg", smooth_image(index, 20, 22))
    dataset = build(published(images, low))
    assert isinstance(dataset, ImagePairs) and len(dataset) == 5
    assert dataset[0]["lq_path"].endswith(".jpg") and dataset[0]["lq"].shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("hr", "lr"), [("{}_HR", "{}_LR"), ("{}_HR_x2", "{}_LR_x2"), ("{}_HR", "{}_HR"), ("{}_HR", "{}")]
)
def test_names_of_hr_and_lr(build, images, low, hr, lr):
    for index in range(5):
        (images / f"im{index}.png").rename(images / f"{hr.format(f'im{index}')}.png")
        (low / f"im{index}x2.png").rename(low / f"{lr.format(f'im{index}')}.png")
    pairs = build(published(images, low)).pairs
    assert [pair.lr.stem for pair in pairs] == [lr.format(f"im{index}") for index in range(5)]


def test_one_folder_holds_both_as_selfexsr_has_them(build, tmp_path):
    folder = tmp_path / "image_SRF_2"
    folder.mkdir()
    for kind, size in {"HR": (40, 44), "LR": (20, 22), "bicubic": (40, 44), "glasner": (40, 44)}.items():
        write_image(folder / f"img_001_SRF_2_{kind}.png", smooth_image(0, *size))
    (pair,) = build(published(folder, folder)).pairs
    assert (pair.hr.stem, pair.lr.stem) == ("img_001_SRF_2_HR", "img_001_SRF_2_LR")


def test_a_template_that_does_not_fit_is_told_of(images, low):
    with pytest.raises(InputError, match=r"do not follow \{\}_LRBI_x2: leave filename_tmpl out, and they are found"):
        find_pairs(settings(images, dataroot_lq=str(low), filename_tmpl="{}_LRBI_x2"))


def test_several_folders_are_one_set(images, low, tmp_path):
    """Two folders whose files have the same names: each image keeps its own counterpart, and its own name."""
    more = tmp_path / "more"
    more.mkdir()
    write_image(more / "im3.png", smooth_image(7))
    write_image(more / "zebra.png", smooth_image(8))
    more_low = tmp_path / "more_low"
    more_low.mkdir()
    for name, seed in (("im3", 7), ("zebra", 8)):
        write_image(more_low / f"{name}.png", smooth_image(seed, 20, 22))
    pairs = ImagePairs(settings([images, more], dataroot_lq=[str(low), str(more_low)]) | {
        "dataroot_gt": [str(images), str(more)]
    })  # fmt: skip
    assert [pair.name for pair in pairs.pairs] == ["im0", "im1", "im2", "im3", "im4", "im3_2", "zebra"]
    np.testing.assert_array_equal(as_image(pairs[5]["lq"]), smooth_image(7, 20, 22))
    np.testing.assert_array_equal(as_image(pairs[3]["lq"]), smooth_image(3, 20, 22))


def test_a_listing_may_lead_into_folders(tmp_path):
    (tmp_path / "n01").mkdir()
    write_image(tmp_path / "n01" / "a.png", smooth_image(0))
    listing = tmp_path / "train_map.txt"
    listing.write_text("n01/a.png 0\n\nn01/gone.png 0\n")
    (pair,) = find_pairs(settings(tmp_path, meta_info_file=str(listing)))
    assert pair.hr == tmp_path / "n01" / "a.png"


def test_an_lmdb_gives_what_its_files_give(build, images, low, tmp_path):
    pytest.importorskip("lmdb")
    keys = [f"im{index}" for index in range(5)]
    write_lmdb(images, [(f"{key}.png", 41, 45) for key in keys], keys, tmp_path / "HR.lmdb")
    write_lmdb(low, [(f"{key}x2.png", 20, 22) for key in keys], keys, tmp_path / "LR.lmdb")
    section = published(tmp_path / "HR.lmdb", tmp_path / "LR.lmdb", io_backend={"type": "lmdb"}, in_memory=False)
    databases, files = build(section), build(published(images, low, in_memory=False))
    loader = DataLoader(databases, batch_size=None, num_workers=1)
    assert len(list(loader)) == 5
    for index in range(5):
        random.seed(index)
        expected = files[index]
        random.seed(index)
        found = databases[index]
        assert torch.equal(expected["lq"], found["lq"]) and torch.equal(expected["gt"], found["gt"])
    with pytest.raises(OptionError, match=r"images.HR is no NAME\.lmdb, as io_backend says"):
        build(published(images, low, io_backend={"type": "lmdb"}))


def test_images_without_truth(images):
    (images / "Thumbs.db").write_bytes(b"\0")
    found = SingleImages({"dataroot_lq": str(images)})
    np.testing.assert_array_equal(as_image(found[4]["lq"]), smooth_image(4))
    assert len(found) == 5 and found[4].keys() == {"lq", "lq_path"}
    cut_off(images / "im4.png")
    with pytest.raises(InputError, match=r"im4\.png: damaged or cut off"):
        SingleImages({"dataroot_lq": str(images)})
