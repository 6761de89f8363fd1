"""Pairs whose LR is made anew for every sample of a training: blurred, resized, noisy and compressed as real images."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from lsm.data.degradations import image_generator
from lsm.data.degrade.apply import degrade
from lsm.data.degrade.options import DegradationOptions
from lsm.data.degrade.plan import draw
from lsm.data.pairs import Pair
from lsm.errors import InputError
from lsm.image.io import read_rgb
from lsm.image.pixels import to_tensor
from lsm.training.compat import DATASET_REGISTRY
from lsm.training.data import ImagePairs, random_flips, random_patch
from lsm.training.teacher import read_cached

JPEG_BLOCK = 8
"""LR pixels that are made around a patch and cropped: the grid of JPEG's blocks then lies anywhere, as in real images,
and what degrades the edge is not learned."""


@DATASET_REGISTRY.register()
class DegradedPairs(ImagePairs):
    """Images of a folder, with LR that a random degradation makes of them.

    A training draws from `random`, as all datasets do, see `lsm.training.sampling`: a sample follows from the seed and
    its number. In a validation it follows from the file's name and `seed` alone.

    Args:
        opt: A dataset's section of the config, see `ImagePairs`; `degradation`, the fields of `DegradationOptions`;
            and `seed`.
    """

    resamples = False

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self.margin = JPEG_BLOCK * opt["scale"] if opt["phase"] == "train" else 0
        self.degradation = DegradationOptions(**opt["degradation"])
        super().__init__(opt)

    def _load(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        """Decode HR, cropped to a multiple of the scale; LR is made later."""
        image = read_rgb(pair.hr)
        height, width = (side // self.scale * self.scale for side in image.shape[:2])
        if min(height, width) == 0:
            raise InputError(f"{pair.hr}: {image.shape[1]}×{image.shape[0]} is too small for ×{self.scale}.")
        image = image[:height, :width]
        if "teacher_images" in self.opt:  # as in `ImagePairs`: three more channels, cropped and turned alike
            image = np.concatenate([image, read_cached(self.opt["teacher_images"][pair.name], image.shape)], axis=2)
        return image, image

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `lq` (3, h, w) and `gt` (3, rh, rw) in [0, 1], and the file's path as `lq_path` and `gt_path`."""
        pair, training = self.pairs[index], self.opt["phase"] == "train"
        hr, _ = self._kept[index] if self._kept else self._load(pair)
        if training:
            # At multiples of the scale, as LR's grid is cut from a whole image.
            grid = hr[:: self.scale, :: self.scale]
            hr, _ = random_patch(hr, grid, self.opt["gt_size"] + self.margin, self.scale)
            hr, _ = random_flips(hr, hr, self.opt["use_hflip"], self.opt["use_rot"])
            generator = np.random.default_rng(random.getrandbits(64))
        else:
            generator = image_generator(pair.name, self.opt["seed"])
        hr = np.ascontiguousarray(hr)
        lr = degrade(hr[..., :3], draw(self.degradation, generator), self.scale, generator)
        if training:
            hr, lr = random_patch(hr, lr, self.opt["gt_size"], self.scale)
        sample = {
            "lq": to_tensor(lr)[0],
            "gt": to_tensor(hr[..., :3])[0],
            "lq_path": str(pair.hr),
            "gt_path": str(pair.hr),
        }
        if hr.shape[2] > 3:
            sample["teacher"] = to_tensor(hr[..., 3:])[0]
        return sample
