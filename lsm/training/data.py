"""Pairs of high- and low-resolution images from plain folders, for training and validation.

Low-resolution files are used where there are any; else they are made from the high-resolution ones by MATLAB's
antialiased bicubic. Small sets are decoded once and kept as uint8 arrays, so that a sample costs two crops.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from lsm.data.headers import check_whole, header_size
from lsm.data.pairs import Pair, list_hr, list_images, load_pair, match_lr
from lsm.errors import InputError
from lsm.image.io import read_rgb
from lsm.image.pixels import to_tensor
from lsm.training.compat import DATASET_REGISTRY, get_root_logger
from lsm.training.image_schema import folders
from lsm.training.importance import PatchImportance
from lsm.training.teacher import read_cached

IN_MEMORY_LIMIT = 2**31  # bytes of decoded images up to which `in_memory: auto` keeps a set


def find_pairs(settings: Mapping[str, Any]) -> list[Pair]:
    """Pair the files of a dataset's folders.

    Args:
        settings: `dataroot_gt`, `scale`, and if given `dataroot_lq`, `filename_tmpl` (by default the usual names are
            tried) and `meta_info_file` (the first word of each line is a file name to keep). Roots may be lists of
            folders, those of low resolution in the order of the others.

    Returns:
        The pairs, sorted by name within each folder; without a folder of low-resolution files none of them has one. A
        stem that an earlier folder holds too gets the folder's number behind it.

    Raises:
        InputError: If there is no image, or one lacks its low-resolution file.
    """
    hr_folders = [Path(folder) for folder in folders(settings["dataroot_gt"])]
    lr_root = settings.get("dataroot_lq")
    lr_folders = [Path(folder) for folder in folders(lr_root)] if lr_root else [None] * len(hr_folders)
    listing = Path(settings["meta_info_file"]) if settings.get("meta_info_file") else None
    pairs: dict[str, Pair] = {}
    for number, (hr_folder, lr_folder) in enumerate(zip(hr_folders, lr_folders, strict=True), 1):
        hr = list_hr(hr_folder, lr_folder, listing)
        lr: Sequence[Path | None] = [None] * len(hr)
        if lr_folder is not None and hr:
            lr = _low_resolution(hr, lr_folder, settings["scale"], settings.get("filename_tmpl"))
        for high, low in zip(hr, lr, strict=True):
            name = f"{high.stem}_{number}" if high.stem in pairs else high.stem
            pairs[name] = Pair(name, high, low)
    if not pairs:
        chosen = f" that {listing} names" if listing else ""
        raise InputError(f"{', '.join(map(str, hr_folders))} holds no image{chosen}.")
    return list(pairs.values())


def _low_resolution(hr: Sequence[Path], folder: Path, scale: int, template: str | None) -> Sequence[Path | None]:
    """Find the low-resolution files of one folder.

    Raises:
        InputError: If one is missing.
    """
    if template:
        known = {path.stem: path for path in list_images(folder)}
        found: Sequence[Path | None] = [known.get(template.format(path.stem)) for path in hr]
    else:
        found = match_lr(hr, folder, scale)
    missing = [path for path, low in zip(hr, found, strict=True) if low is None]
    if not missing:
        return found
    way = "complete it, set filename_tmpl, or leave dataroot_lq out to have them made by bicubic"
    if template and None not in match_lr(hr, folder, scale):
        way = f"its names do not follow {template}: leave filename_tmpl out, and they are found"
    raise InputError(
        f"{folder} has no low-resolution file for {missing[0]} ({len(missing)} of {len(hr)} are missing); {way}."
    )


def random_patch(hr: np.ndarray, lr: np.ndarray, size: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the same random square out of both images; draws from `random`.

    Args:
        hr: (rH, rW, C).
        lr: (H, W, C).
        size: Side of the high-resolution square, a multiple of the scale.
        scale: The scale r.

    Returns:
        Views of (size, size, C) and (size/r, size/r, C).
    """
    side = size // scale
    top, left = random.randint(0, lr.shape[0] - side), random.randint(0, lr.shape[1] - side)
    return cut_patch(hr, lr, size, scale, top, left)


def cut_patch(
    hr: np.ndarray, lr: np.ndarray, size: int, scale: int, top: int, left: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the same square out of both images, see `random_patch`; `top` and `left` are of the low-resolution image."""
    side = size // scale
    lr = lr[top : top + side, left : left + side]
    top, left = top * scale, left * scale
    return hr[top : top + size, left : left + size], lr


def random_flips(hr: np.ndarray, lr: np.ndarray, hflip: bool, rot: bool) -> tuple[np.ndarray, np.ndarray]:
    """Flip and transpose both images alike; draws from `random`.

    Args:
        hr: (H, W, C).
        lr: (h, w, C).
        hflip: Whether left and right may change places.
        rot: Whether top and bottom, and rows and columns, may change places: with `hflip` all eight orientations.

    Returns:
        Views of the two images.
    """
    if hflip and random.random() < 0.5:
        hr, lr = hr[:, ::-1], lr[:, ::-1]
    if rot and random.random() < 0.5:
        hr, lr = hr[::-1], lr[::-1]
    if rot and random.random() < 0.5:
        hr, lr = hr.swapaxes(0, 1), lr.swapaxes(0, 1)
    return hr, lr


@DATASET_REGISTRY.register()
class ImagePairs(Dataset):
    """Images of a folder with their low-resolution counterparts.

    Args:
        opt: A dataset's section of the config: `dataroot_gt`, `dataroot_lq` (made by bicubic when None),
            `filename_tmpl`, `meta_info_file` (first word of each line: a file name to keep), `in_memory` (True, False,
            `"auto"`, or `"device"`, see `lsm.training.device_data`), `scale`, `phase`; for training also `gt_size`,
            `use_hflip`, `use_rot`.
    """

    margin = 0
    """Pixels that a patch of a training must have beyond `gt_size`."""
    resamples = True
    """Whether an image without its low-resolution file is resampled, which takes long."""

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt
        self.scale: int = opt["scale"]
        self.pairs = find_pairs(opt)
        self._check_sizes()
        # Filled before worker processes start, so that they share the arrays instead of decoding them again.
        self._kept = [self._load(pair) for pair in self.pairs] if self._fits_in_memory() else None
        self.importance = self._hard_patches()

    def kept(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return all pairs, decoded: (rH, rW, C) and (H, W, 3), uint8; with a teacher's image C is 6, else 3."""
        return self._kept or [self._load(pair) for pair in self.pairs]

    def _hard_patches(self) -> PatchImportance | None:
        """Measure where patches are hard to upscale, if they are to come more often."""
        power = self.opt.get("patch_importance", 0)
        if not power or self.opt["phase"] != "train":
            return None
        if self._kept is None:
            raise InputError("patch_importance needs the training set in memory: set in_memory: true.")
        return PatchImportance(self._kept, self.opt["gt_size"] // self.scale, self.scale, power)

    def _load(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        """Decode one image and its counterpart, uint8."""
        hr, lr = load_pair(pair, self.scale)
        teachers = self.opt.get("teacher_images")  # of a training with a teacher: its image of each name
        if teachers is None:
            return hr, lr
        # As three more channels, so that what crops and turns an image does the same to both.
        return np.concatenate([hr, read_cached(teachers[pair.name], hr.shape)], axis=2), lr

    def _check_sizes(self) -> None:
        """Look at all files and compare their sizes, so that a bad pair is named before training starts."""
        self._bytes = 0
        for pair in self.pairs:
            for file in filter(None, (pair.hr, pair.lr)):
                check_whole(file)
            width, height = header_size(pair.hr)
            self._bytes += 3 * width * height
            self._check_patch(pair, min(width, height) // self.scale * self.scale)
            if pair.lr:
                found, needed = header_size(pair.lr), (width // self.scale, height // self.scale)
                if found != needed:
                    raise InputError(
                        f"{pair.lr} is {found[0]}x{found[1]}, but {pair.hr} at scale {self.scale} needs "
                        f"{needed[0]}x{needed[1]}."
                    )

    def _check_patch(self, pair: Pair, side: int) -> None:
        """Refuse an image of a training that no patch can be cut from."""
        if self.opt["phase"] == "train" and side < self.opt["gt_size"] + self.margin:
            around = f" and the {self.margin} pixels more that are needed" if self.margin else ""
            width, height = header_size(pair.hr)
            raise InputError(f"{pair.hr} is {width}x{height}, smaller than gt_size {self.opt['gt_size']}{around}.")

    def _fits_in_memory(self) -> bool:
        wanted = self.opt.get("in_memory", "auto")
        fits = self.opt["phase"] == "train" and self._bytes <= IN_MEMORY_LIMIT if wanted == "auto" else bool(wanted)
        if self.resamples and not fits and self.pairs[0].lr is None and self.opt["phase"] == "train":
            get_root_logger().warning(
                "%s: low-resolution images are made anew for every sample, which is slow. Set dataroot_lq, or "
                "in_memory: true (%.1f GB).",
                self.opt["dataroot_gt"],
                self._bytes / 1e9,
            )
        return fits

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `lq` (3, h, w) and `gt` (3, rh, rw) in [0, 1], with `lq_path` and `gt_path`."""
        if self.importance is not None:
            index, *corner = self.importance.draw(index)
        pair = self.pairs[index]
        hr, lr = self._kept[index] if self._kept else self._load(pair)
        if self.opt["phase"] == "train":
            if self.importance is not None:
                hr, lr = cut_patch(hr, lr, self.opt["gt_size"], self.scale, *corner)
            else:
                hr, lr = random_patch(hr, lr, self.opt["gt_size"], self.scale)
            hr, lr = random_flips(hr, lr, self.opt["use_hflip"], self.opt["use_rot"])
        sample = {
            "lq": to_tensor(lr)[0],
            "gt": to_tensor(hr[..., :3])[0],
            "lq_path": str(pair.lr or pair.hr),
            "gt_path": str(pair.hr),
        }
        if hr.shape[2] > 3:
            sample["teacher"] = to_tensor(hr[..., 3:])[0]
        return sample


@DATASET_REGISTRY.register()
class SingleImages(Dataset):
    """Images without true ones to compare with; only validations and tests can use them.

    Args:
        opt: A dataset's section of the config: `dataroot_lq`, one folder or a list.
    """

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt
        self.files = [file for folder in folders(opt["dataroot_lq"]) for file in list_images(Path(folder))]
        if not self.files:
            raise InputError(f"{', '.join(folders(opt['dataroot_lq']))} holds no image.")
        for file in self.files:
            check_whole(file)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `lq` (3, h, w) in [0, 1] with `lq_path`."""
        return {"lq": to_tensor(read_rgb(self.files[index]))[0], "lq_path": str(self.files[index])}
