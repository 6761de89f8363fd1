"""The pixel unshuffle, for images whose size is known only when the network runs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lsm.arch.pixel_unshuffle import PixelUnshuffle
from lsm.export.windows import new_size
from lsm.mixers.base import Size


class DynamicPixelUnshuffle(PixelUnshuffle):
    """What `PixelUnshuffle` computes, by gathering rows and columns whose numbers are computed from the size."""

    def forward(self, image: Tensor) -> Tensor:
        """Unshuffle an image (B, C, H, W) into (B, C·u², ⌈H/u⌉, ⌈W/u⌉)."""
        if self.side == 1:
            return image
        for axis in (2, 3):
            length = torch.scalar_tensor(image.shape[axis], dtype=torch.int64)
            count = new_size((length + self.side - 1) // self.side)
            image = image.index_select(axis, torch.minimum(torch.arange(count * self.side), length - 1))
        return functional.pixel_unshuffle(image, self.side)

    def crop(self, image: Tensor, size: Size) -> Tensor:
        """Cut an image (B, C, u·⌈H/u⌉, u·⌈W/u⌉) to `size` (H, W)."""
        if self.side == 1:
            return image
        return image.index_select(2, torch.arange(size[0])).index_select(3, torch.arange(size[1]))
