"""An image in memory, and its way to a network's tensor and back; no files here (see `lsm.image.io`)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from lsm.errors import InputError
from lsm.image.metadata import Metadata

if TYPE_CHECKING:
    from torch import Tensor

MODES = {1: "grey", 2: "grey + alpha", 3: "RGB", 4: "RGBA"}
DTYPES = (np.uint8, np.uint16, np.float32)
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True)
class Compression:
    """How the pixels were compressed, which decides how a result is.

    Attributes:
        lossless: Whether they come from a lossless file; decides between the two kinds of WebP.
        quality: Of a lossy file, 1 to 100; none if it is unknown.
        subsampling: Of a JPEG's chroma, one of `SUBSAMPLINGS`; none if it is unknown.
        estimated: Whether the quality is that of the input's tables, rather than what a user asks for.
    """

    lossless: bool = True
    quality: int | None = None
    subsampling: str | None = None
    estimated: bool = False

    def __post_init__(self) -> None:
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise InputError(f"Quality {self.quality} is out of range: 1 to 100.")
        if self.subsampling is not None and self.subsampling not in SUBSAMPLINGS:
            raise InputError(f"Chroma subsampling {self.subsampling!r} is unknown; it is {', '.join(SUBSAMPLINGS)}.")


@dataclass(frozen=True)
class ImageData:
    """Pixels as they are seen (upright, straight alpha), with what a file says about them.

    Attributes:
        pixels: (H, W, C) uint8, uint16, or float32 in [0, 1]; C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; alpha is
            not premultiplied.
        metadata: What the file says of the image besides.
        compression: How the pixels were compressed.
        frames: Frames of the animation, or pages of the file, that the image is one of.
        notes: What of the file the image does not hold, for the user to read.
    """

    pixels: np.ndarray
    metadata: Metadata = field(default_factory=Metadata)
    compression: Compression = field(default_factory=Compression)
    frames: int = 1
    notes: tuple[str, ...] = ()

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
        """Return the same image with other pixels, (H, W, C)."""
        return replace(self, pixels=pixels)

    def with_metadata(self, metadata: Metadata) -> ImageData:
        """Return the same image with other metadata."""
        return replace(self, metadata=metadata)

    def with_compression(self, quality: int | None = None, subsampling: str | None = None) -> ImageData:
        """Return the same image to be compressed in another way.

        Args:
            quality: 1 to 100; asks for a lossy file where the format has both kinds. None keeps the image's own.
            subsampling: Of a JPEG's chroma, one of `SUBSAMPLINGS`. None keeps the image's own.
        """
        if quality is None and subsampling is None:
            return self
        own = self.compression
        asked = replace(own, subsampling=subsampling or own.subsampling)
        if quality is not None:
            asked = replace(asked, lossless=False, quality=quality, estimated=False)
        return replace(self, compression=asked)

    def rgb(self) -> np.ndarray:
        """Return 8-bit RGB, (H, W, 3) uint8: alpha dropped, grey repeated, more bits rounded to 8."""
        colour = to_depth(self.colour, np.dtype(np.uint8))
        return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else np.ascontiguousarray(colour)


def check_pixels(pixels: np.ndarray) -> None:
    """Refuse an array that is not (H, W, C) of one of `DTYPES` with 1-4 channels and at least one pixel.

    Raises:
        InputError: With the shape and type found.
    """
    good = pixels.ndim == 3 and pixels.shape[2] in MODES and min(pixels.shape) >= 1
    if not good or pixels.dtype not in DTYPES:
        raise InputError(
            f"An image must be an array of uint8 or uint16, or of float32 in [0, 1], of shape (H, W) or "
            f"(H, W, 1 to 4), not {pixels.dtype} of shape {pixels.shape}."
        )


def peak(dtype: np.dtype) -> float:
    """Return the value that stands for white or opaque: the largest integer, or 1 for floats."""
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def to_depth(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert between uint8, uint16 and float32, full range to full range, rounded."""
    if pixels.dtype == dtype:
        return pixels
    if dtype.kind == "f":
        return pixels.astype(np.float32) / np.float32(peak(pixels.dtype))
    if pixels.dtype.kind == "f":
        return np.rint(np.clip(pixels, 0, 1) * np.float32(peak(dtype))).astype(dtype)
    if dtype == np.uint16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels (H, W, C) as the EXIF orientation (1 to 8) says that they are to be seen."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def to_tensor(colour: np.ndarray) -> Tensor:
    """Convert (H, W, 1) or (H, W, 3) pixels to a network's input.

    Args:
        colour: Grey or RGB pixels, uint8, uint16 or float32; grey is repeated over three channels.

    Returns:
        (1, 3, H, W) float32 in [0, 1].
    """
    import torch  # here, as reading and planning need none

    values = torch.from_numpy(colour.astype(np.float32) / np.float32(peak(colour.dtype)))
    return values.permute(2, 0, 1).expand(3, -1, -1)[None].contiguous()


def from_tensor(planes: Tensor, channels: int, dtype: np.dtype) -> np.ndarray:
    """Convert a network's output to pixels: clamp to [0, 1], scale to the type's range, round to integers.

    Args:
        planes: (3, H, W) float32.
        channels: 3 for RGB, 1 for grey, the mean of the three planes.
        dtype: uint8, uint16 or float32.

    Returns:
        (H, W, channels) of that type.
    """
    if channels == 1:
        planes = planes.mean(dim=0, keepdim=True)
    values = planes.clamp(0, 1)
    if dtype.kind != "f":
        values = values.mul_(peak(dtype)).round_()  # in place: a band of a wide image is large
    return values.permute(1, 2, 0).cpu().numpy().astype(dtype)
