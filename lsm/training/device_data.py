"""Pairs kept in the memory of the device that trains: patches are drawn, cut and turned there, without workers.

A small network on a GPU takes samples faster than processes on a CPU can cut and send them. All patches of an iteration
follow from the seed and the iteration's number, as in `lsm.training.sampling`; the numbers come from the device's own
generator, so a GPU draws other patches than a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm.training.budget import ENDLESS
from lsm.training.data import ImagePairs
from lsm.training.sampling import patch_seed


class DeviceBatches:
    """The batches of a training, each made in one go on the device.

    Where a patch is cut is drawn anew for each: an image evenly, and a place within it evenly or by `patch_importance`.
    With flips and turns all eight orientations are equally frequent.

    Args:
        dataset: The pairs, kept in memory.
        options: The whole, completed options.
        start_iter: Iterations already done.
        device: Where images and batches are.
    """

    def __init__(self, dataset: ImagePairs, options: dict[str, Any], start_iter: int, device: torch.device) -> None:
        settings = options["datasets"]["train"]
        self.dataset, self.device = dataset, device
        self.seed, self.batch = options["manual_seed"], settings["batch_size"]
        self.iterations = range(start_iter, options["train"]["total_iter"] or ENDLESS)
        share = self.batch // options["world_size"]
        self.share = slice(options["rank"] * share, (options["rank"] + 1) * share)
        self.turns = settings["use_hflip"], settings["use_rot"]
        self.side = settings["gt_size"] // dataset.scale
        pairs = dataset.kept()
        self.hr = _Images.upload([hr for hr, _ in pairs], device)
        self.lr = _Images.upload([lr for _, lr in pairs], device)
        self.places = _Places(dataset, [lr.shape[:2] for _, lr in pairs], self.side, device)
        self.generator = torch.Generator(device)

    def __len__(self) -> int:
        """Return the number of batches that are left."""
        return len(self.iterations)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield `lq` (B, 3, h, w), `gt` and, of a teacher, `teacher` (B, 3, rh, rw) in [0, 1], and `gt_path`."""
        for iteration in self.iterations:
            self.generator.manual_seed(patch_seed(self.seed, iteration))
            image, top, left = (part[self.share] for part in self.places.draw(self.batch, self.generator))
            flips = torch.rand(3, self.batch, generator=self.generator, device=self.device)[:, self.share] < 0.5
            hflip, (vflip, swap) = flips[0] & self.turns[0], flips[1:] & self.turns[1]
            scale, turned = self.dataset.scale, (vflip, hflip, swap)
            hr = self.hr.cut(image, top * scale, left * scale, self.side * scale, turned)
            batch = {"lq": _floats(self.lr.cut(image, top, left, self.side, turned)), "gt": _floats(hr[..., :3])}
            if hr.shape[-1] > 3:
                batch["teacher"] = _floats(hr[..., 3:])
            yield {**batch, "gt_path": _Paths(self.dataset, image)}


@dataclass
class _Images:
    """Images of any sizes, one after the other: pixels (N, C), uint8; each image's first pixel and width (images,)."""

    pixels: Tensor
    first: Tensor
    width: Tensor

    @classmethod
    def upload(cls, images: Sequence[np.ndarray], device: torch.device) -> _Images:
        """Put images (H, W, C) on a device."""
        pixels = np.concatenate([image.reshape(-1, image.shape[2]) for image in images])
        sizes = np.array([image.shape[0] * image.shape[1] for image in images])
        widths = np.array([image.shape[1] for image in images])
        first = np.concatenate([[0], sizes.cumsum()[:-1]])
        return cls(*(torch.from_numpy(array).to(device) for array in (pixels, first, widths)))

    def cut(self, image: Tensor, top: Tensor, left: Tensor, side: int, turned: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Cut one patch for each entry of `image`, and turn it.

        Args:
            image: Which image, (B,); so `top` and `left`, its upper left pixel.
            top: (B,).
            left: (B,).
            side: Of the square.
            turned: Whether top and bottom, left and right, and then rows and columns change places, each (B,).

        Returns:
            (B, side, side, C), uint8.
        """
        vflip, hflip, swap = (each[:, None] for each in turned)
        steps = torch.arange(side, device=image.device)
        rows = torch.where(vflip, side - 1 - steps, steps) * self.width[image, None]
        columns = torch.where(hflip, side - 1 - steps, steps)
        down, right = torch.where(swap, columns, rows), torch.where(swap, rows, columns)
        corner = self.first[image] + top * self.width[image] + left
        return self.pixels[corner[:, None, None] + down[:, :, None] + right[:, None, :]]


class _Places:
    """All places where a patch can be cut, numbered through the images, with the probability of each.

    Args:
        dataset: The pairs; says how probable a place is, if `patch_importance` is asked for.
        sizes: (H, W) of the low-resolution images.
        side: Of a patch there.
        device: Where places are drawn.
    """

    def __init__(self, dataset: ImagePairs, sizes: Sequence[tuple[int, int]], side: int, device: torch.device) -> None:
        counts = [(height - side + 1, width - side + 1) for height, width in sizes]
        importance = dataset.importance
        chances = []
        for index, shape in enumerate(counts):
            kept = np.ones(shape) if importance is None else importance.kept(index)
            chances.append(kept.ravel() / kept.size)
        self.ends = torch.from_numpy(np.concatenate(chances).cumsum()).to(device)
        self.first = torch.tensor(np.cumsum([0] + [rows * columns for rows, columns in counts[:-1]]), device=device)
        self.columns = torch.tensor([columns for _, columns in counts], device=device)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw places: image, top and left, each (count,)."""
        numbers = torch.rand(count, generator=generator, device=self.ends.device, dtype=torch.float64)
        place = torch.searchsorted(self.ends, numbers * self.ends[-1], right=True).clamp_max(len(self.ends) - 1)
        image = torch.searchsorted(self.first, place, right=True) - 1
        place = place - self.first[image]
        return image, place // self.columns[image], place % self.columns[image]


@dataclass
class _Paths:
    """The files of a batch, looked up only where somebody asks: that waits for the device."""

    dataset: ImagePairs
    image: Tensor

    def __iter__(self) -> Iterator[str]:
        return (str(self.dataset.pairs[index].hr) for index in self.image.tolist())


def _floats(pixels: Tensor) -> Tensor:
    """Turn (B, H, W, C), uint8, into (B, C, H, W) in [0, 1]."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)
