"""One image, two layouts: an image (B, C, H, W) and its tokens (B, H·W, C) in raster order."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

Size = tuple[int, int]
"""Height and width, of an image or of a window."""


def to_image(tokens: Tensor, size: Size) -> Tensor:
    """Lay tokens (B, H·W, C) out as an image (B, C, H, W); its memory stays channels-last."""
    return rearrange(tokens, "b (y x) c -> b c y x", y=size[0])


def to_tokens(image: Tensor) -> Tensor:
    """Read an image (B, C, H, W) as tokens (B, H·W, C)."""
    return rearrange(image, "b c y x -> b (y x) c")
