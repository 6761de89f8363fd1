"""Pairs of high- and low-resolution images from plain folders, for training and validation.

Low-resolution files are used where there are any; else they are made from the high-resolution ones by MATLAB's
antialiased bicubic. Small sets are decoded once and kept as uint8 arrays, so that a sample costs two crops.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from torch.utils.data import Dataset

from lsm.benchmark.resize import imresize
from lsm.errors import InputError
from lsm.inference.image_io import is_image_name, read_rgb
from lsm.inference.picture import to_tensor
from lsm.training.compat import DATASET_REGISTRY, get_root_logger

NAME_TEMPLATES = ("{}", "{}x{scale}", "{}_LRBI_x{scale}")  # the usual names of low-resolution files
IN_MEMORY_LIMIT = 2**31  # bytes of decoded images up to which `in_memory: auto` keeps a set


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name.

    Raises:
        InputError: If the folder holds no image.
    """
    files = sorted(path for path in folder.iterdir() if is_image_name(path))
    if not files:
        raise InputError(f"{folder} holds no image.")
    return files


def find_low_resolution(high: list[Path], folder: Path, scale: int, template: str | None = None) -> list[Path]:
    """Find the low-resolution file of each high-resolution one.

    Args:
        high: The high-resolution files.
        folder: Where the low-resolution files are.
        scale: The scale, which some names carry.
        template: How names are derived, e.g. `"{}x4"`; by default the usual ones are tried.

    Returns:
        One path for each of `high`.

    Raises:
        InputError: If a file has no counterpart.
    """
    stems = {path.stem: path for path in list_images(folder)}
    templates = [template] if template else [name.replace("{scale}", str(scale)) for name in NAME_TEMPLATES]
    for name in templates:
        if name.format(high[0].stem) in stems:
            missing = [path for path in high if name.format(path.stem) not in stems]
            if missing:
                wanted = name.format(missing[0].stem)
                raise InputError(f"{folder} has no {wanted}.* for {missing[0]} ({len(missing)} images lack theirs).")
            return [stems[name.format(path.stem)] for path in high]
    tried = ", ".join(name.format(high[0].stem) for name in templates)
    raise InputError(f"{folder} has no low-resolution file for {high[0]}; looked for {tried}. Set filename_tmpl.")


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Crop an image (H, W, C) at the right and the bottom so that both sides are multiples of the scale."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def make_low_resolution(image: np.ndarray, scale: int) -> np.ndarray:
    """Shrink an image (rH, rW, C) of uint8 to (H, W, C) by MATLAB's antialiased bicubic."""
    return imresize(image, (image.shape[0] // scale, image.shape[1] // scale))


def header_size(path: Path) -> tuple[int, int]:
    """Read an image's (width, height) from its header, as it stands upright.

    Raises:
        InputError: If the file is no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except OSError as error:
        raise InputError(f"{path} is not a readable image.") from error
    return (height, width) if turned else (width, height)


def random_patch(high: np.ndarray, low: np.ndarray, size: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the same random square out of both images; draws from `random`.

    Args:
        high: (rH, rW, C).
        low: (H, W, C).
        size: Side of the high-resolution square, a multiple of the scale.
        scale: The scale r.

    Returns:
        Views of (size, size, C) and (size/r, size/r, C).
    """
    side = size // scale
    top, left = random.randint(0, low.shape[0] - side), random.randint(0, low.shape[1] - side)
    low = low[top : top + side, left : left + side]
    top, left = top * scale, left * scale
    return high[top : top + size, left : left + size], low


def random_flips(high: np.ndarray, low: np.ndarray, hflip: bool, rot: bool) -> tuple[np.ndarray, np.ndarray]:
    """Flip and turn both images alike; draws from `random`.

    Args:
        high: (H, W, C).
        low: (h, w, C).
        hflip: Whether left and right may change places.
        rot: Whether top and bottom, and rows and columns, may change places: with `hflip` all eight orientations.

    Returns:
        Views of the two images.
    """
    if hflip and random.random() < 0.5:
        high, low = high[:, ::-1], low[:, ::-1]
    if rot and random.random() < 0.5:
        high, low = high[::-1], low[::-1]
    if rot and random.random() < 0.5:
        high, low = high.swapaxes(0, 1), low.swapaxes(0, 1)
    return high, low


@DATASET_REGISTRY.register()
class ImagePairs(Dataset):
    """Images of a folder with their low-resolution counterparts.

    Args:
        opt: A dataset's section of the option file: `dataroot_gt`, `dataroot_lq` (made by bicubic when None),
            `filename_tmpl`, `meta_info_file` (first word of each line: a file name to keep), `in_memory` (True, False
            or `"auto"`), `scale`, `phase`; for training also `gt_size`, `use_hflip`, `use_rot`.
    """

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.opt = opt
        self.scale: int = opt["scale"]
        self.high = list_images(Path(opt["dataroot_gt"]))
        if opt.get("meta_info_file"):
            lines = Path(opt["meta_info_file"]).read_text(encoding="utf-8").splitlines()
            kept = {line.split()[0] for line in lines if line.strip()}
            self.high = [path for path in self.high if path.name in kept]
            if not self.high:
                raise InputError(f"{opt['meta_info_file']} names no image of {opt['dataroot_gt']}.")
        self.low: list[Path] | None = None
        if opt.get("dataroot_lq"):
            self.low = find_low_resolution(self.high, Path(opt["dataroot_lq"]), self.scale, opt.get("filename_tmpl"))
        self._check_sizes()
        # Filled before worker processes start, so that they share the arrays instead of decoding them again.
        self._pairs = [self._read(index) for index in range(len(self))] if self._fits_in_memory() else None

    def _check_sizes(self) -> None:
        """Compare all sizes by the files' headers, so that a bad pair is named before training starts."""
        self._bytes = 0
        for index, path in enumerate(self.high):
            width, height = header_size(path)
            self._bytes += 3 * width * height
            if self.opt["phase"] == "train" and min(width, height) // self.scale * self.scale < self.opt["gt_size"]:
                raise InputError(f"{path} is {width}x{height}, smaller than gt_size {self.opt['gt_size']}.")
            if self.low:
                found, needed = header_size(self.low[index]), (width // self.scale, height // self.scale)
                if found != needed:
                    raise InputError(
                        f"{self.low[index]} is {found[0]}x{found[1]}, but {path} at scale {self.scale} needs "
                        f"{needed[0]}x{needed[1]}."
                    )

    def _fits_in_memory(self) -> bool:
        wanted = self.opt.get("in_memory", "auto")
        fits = self.opt["phase"] == "train" and self._bytes <= IN_MEMORY_LIMIT if wanted == "auto" else bool(wanted)
        if not fits and self.low is None and self.opt["phase"] == "train":
            get_root_logger().warning(
                "%s: low-resolution images are made anew for every sample, which is slow. Set dataroot_lq, or "
                "in_memory: true (%.1f GB).",
                self.opt["dataroot_gt"],
                self._bytes / 1e9,
            )
        return fits

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        high = crop_to_multiple(read_rgb(self.high[index]), self.scale)
        low = read_rgb(self.low[index]) if self.low else make_low_resolution(high, self.scale)
        return high, low

    def __len__(self) -> int:
        return len(self.high)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `lq` (3, h, w) and `gt` (3, rh, rw) in [0, 1], with `lq_path` and `gt_path`."""
        high, low = self._pairs[index] if self._pairs else self._read(index)
        if self.opt["phase"] == "train":
            high, low = random_patch(high, low, self.opt["gt_size"], self.scale)
            high, low = random_flips(high, low, self.opt["use_hflip"], self.opt["use_rot"])
        low_path = self.low[index] if self.low else self.high[index]
        return {
            "lq": to_tensor(low)[0],
            "gt": to_tensor(high)[0],
            "lq_path": str(low_path),
            "gt_path": str(self.high[index]),
        }
