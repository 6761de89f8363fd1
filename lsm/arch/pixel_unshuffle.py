"""A pixel unshuffle for images of any size: networks at the full resolution become u² times cheaper (see FFDNet)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from lsm.mixers.base import Size


class PixelUnshuffle(nn.Module):
    """Turn u×u pixels into the channels of one token; what is missing at the edges is filled with the nearest pixels.

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
