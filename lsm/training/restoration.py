"""Clean images of a folder, degraded anew for every sample of a training, and always alike in a validation."""

from __future__ import annotations

import random
from abc import abstractmethod
from typing import Any

import numpy as np
import torch

from lsm.data.degradations import add_noise, compress, image_generator, to_grey
from lsm.data.pairs import Pair
from lsm.image.io import read_rgb
from lsm.image.pixels import to_tensor
from lsm.training.compat import DATASET_REGISTRY
from lsm.training.data import ImagePairs, random_flips, random_patch


class DegradedImages(ImagePairs):
    """Images of a folder with what a degradation makes of them, at scale 1.

    A training draws from `random`, as all datasets do, see `lsm.training.sampling`. In a validation the random numbers
    follow from the file's name and `seed` alone: no order, worker or other file changes them.

    Args:
        opt: A dataset's section of the config, see `ImagePairs`; and `grey` (share of the images that are turned
            grey before), `seed`, and what the degradation takes.
    """

    resamples = False

    def _load(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        image = read_rgb(pair.hr)
        return image, image

    @abstractmethod
    def degrade(
        self, image: np.ndarray, grey: bool, choices: np.random.Generator, noise: np.random.Generator
    ) -> np.ndarray:
        """Degrade an image.

        Args:
            image: (H, W, 3), uint8.
            grey: Whether its channels are equal.
            choices: What the strength is drawn from.
            noise: What the noise is drawn from.

        Returns:
            (H, W, 3) float32, 1 for white.
        """

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `lq` and `gt` (3, H, W), 1 for white, and the file's path as `lq_path` and `gt_path`."""
        pair, training = self.pairs[index], self.opt["phase"] == "train"
        image, _ = self._kept[index] if self._kept else self._load(pair)
        if training:
            image, _ = random_patch(image, image, self.opt["gt_size"] + self.margin, 1)
            image, _ = random_flips(image, image, self.opt["use_hflip"], self.opt["use_rot"])
            choices = noise = np.random.default_rng(random.getrandbits(64))
        else:
            # Two, so that the noise does not depend on how many choices there are: it is that of the benchmark.
            choices, noise = (image_generator(name, self.opt["seed"]) for name in (f"{pair.name}/", pair.name))
        grey = bool(choices.random() < self.opt["grey"])
        image = to_grey(image) if grey else np.ascontiguousarray(image)
        degraded = self.degrade(image, grey, choices, noise)
        if training and self.margin:
            degraded, image = random_patch(degraded, image, self.opt["gt_size"], 1)
        return {
            "lq": torch.from_numpy(degraded).permute(2, 0, 1).contiguous(),
            "gt": to_tensor(image)[0],
            "lq_path": str(pair.hr),
            "gt_path": str(pair.hr),
        }


@DATASET_REGISTRY.register()
class NoisyImages(DegradedImages):
    """Images with white Gaussian noise.

    Args:
        opt: See `DegradedImages`; `sigma` in steps of 8 bits, one value or a range to draw from evenly; `clipped`:
            share of the images that are clamped and rounded after, as 8-bit files hold them.
    """

    def degrade(
        self, image: np.ndarray, grey: bool, choices: np.random.Generator, noise: np.random.Generator
    ) -> np.ndarray:
        """Add the noise."""
        sigma = _between(self.opt["sigma"], choices)
        clipped = bool(choices.random() < self.opt["clipped"])
        return add_noise(image, sigma, noise, grey=grey, clipped=clipped)


@DATASET_REGISTRY.register()
class JpegImages(DegradedImages):
    """Images compressed by JPEG; in training the grid of its blocks lies anywhere, as in a cropped image.

    Args:
        opt: See `DegradedImages`; `quality`, 1 to 100, one value or a range to draw from evenly.
    """

    margin = 7

    def degrade(
        self, image: np.ndarray, grey: bool, choices: np.random.Generator, noise: np.random.Generator
    ) -> np.ndarray:
        """Compress and decompress; there is no noise."""
        quality = round(_between(self.opt["quality"], choices))
        return compress(image, quality, grey=grey).astype(np.float32) / np.float32(255)


def _between(value: float | tuple[float, float], generator: np.random.Generator) -> float:
    """Draw from a range, or take the one value."""
    return float(generator.uniform(*value)) if isinstance(value, list | tuple) else float(value)
