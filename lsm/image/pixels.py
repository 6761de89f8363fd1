"""An image in memory, and its way to a network's tensor and back; no files here (see `image_io`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lsm.errors import InputError

MODES = {1: "grey", 2: "grey + alpha", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class ImageData:
    """Pixels as they are seen (upright, straight alpha), with what a file says about them.

    Attributes:
        pixels: (H, W, C) uint8 or uint16, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; alpha is not premultiplied.
        icc_profile: Colour profile that fits the pixels, or none.
        exif: Serialised EXIF block without orientation and thumbnail, or none.
        lossless: Whether the pixels come from a lossless file; decides between the two kinds of WebP.
    """

    pixels: np.ndarray
    icc_profile: bytes | None = None
    exif: bytes | None = None
    lossless: bool = True

    def __post_init__(self) -> None:
        check_pixels(self.pixels)

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.pixels.shape[2] in (2, 4)

    @property
    def colour(self) -> np.ndarray:
        """The channels without alpha: (H, W, 1) or (H, W, 3)."""
        return self.pixels[..., :-1] if self.has_alpha else self.pixels

    def with_pixels(self, pixels: np.ndarray) -> ImageData:
        """Give the same image with other pixels, (H, W, C)."""
        return replace(self, pixels=pixels)

    def with_exif(self, exif: bytes | None) -> ImageData:
        """Give the same image with another EXIF block."""
        return replace(self, exif=exif)

    def rgb(self) -> np.ndarray:
        """Give 8-bit RGB, (H, W, 3) uint8: alpha dropped, grey repeated, 16 bits rounded to 8."""
        colour = to_depth(self.colour, np.dtype(np.uint8))
        return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else np.ascontiguousarray(colour)


def check_pixels(pixels: np.ndarray) -> None:
    """Refuse an array that is not (H, W, C) uint8 or uint16 with 1-4 channels and at least one pixel.

    Raises:
        InputError: With the shape and type found.
    """
    good = pixels.ndim == 3 and pixels.shape[2] in MODES and min(pixels.shape) >= 1
    if not good or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"An image must be a uint8 or uint16 array of shape (H, W) or (H, W, 1 to 4), "
            f"not {pixels.dtype} of shape {pixels.shape}."
        )


def to_depth(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert between uint8 and uint16, full range to full range, rounded."""
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.uint16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def to_tensor(colour: np.ndarray) -> Tensor:
    """Convert (H, W, 1) or (H, W, 3) integers to a network's input.

    Args:
        colour: Grey or RGB pixels, uint8 or uint16; grey is repeated over three channels.

    Returns:
        (1, 3, H, W) float32 in [0, 1].
    """
    values = torch.from_numpy(colour.astype(np.float32) / np.float32(np.iinfo(colour.dtype).max))
    return values.permute(2, 0, 1).expand(3, -1, -1)[None].contiguous()


def from_tensor(planes: Tensor, channels: int, dtype: np.dtype) -> np.ndarray:
    """Convert a network's output to integers: clamp to [0, 1], scale to the type's range, round.

    Args:
        planes: (3, H, W) float32.
        channels: 3 for RGB, 1 for grey, the mean of the three planes.
        dtype: uint8 or uint16.

    Returns:
        (H, W, channels) of that type.
    """
    if channels == 1:
        planes = planes.mean(dim=0, keepdim=True)
    peak = np.iinfo(dtype).max
    values = planes.clamp(0, 1).mul_(peak).round_()  # in place: a band of a wide image is large
    return values.permute(1, 2, 0).cpu().numpy().astype(dtype)
