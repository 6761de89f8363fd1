"""Squares of pixels as tokens: what makes a network at the full resolution u² times cheaper (as in FFDNet)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lsm.mixers.layout import Size


class Squares(nn.Module):
    """Turn u×u pixels into the channels of one token; incomplete squares are filled with the nearest pixels.

    Args:
        side: u; at 1 images stay as they are.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, image: Tensor) -> Tensor:
        """Unshuffle an image (B, C, H, W) into (B, C·u², ⌈H/u⌉, ⌈W/u⌉)."""
        if self.side == 1:
            return image
        height, width = image.shape[2:]
        filled = functional.pad(image, (0, -width % self.side, 0, -height % self.side), mode="replicate")
        return functional.pixel_unshuffle(filled, self.side)

    def crop(self, image: Tensor, size: Size) -> Tensor:
        """Cut an image (B, C, u·⌈H/u⌉, u·⌈W/u⌉) to `size` (H, W)."""
        return image if self.side == 1 else image[..., : size[0], : size[1]]
