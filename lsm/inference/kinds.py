"""The kinds of images that `Upscaler` takes besides files and arrays, and their way back: Pillow's, tensors, bytes."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lsm.errors import InputError, LSMError
from lsm.image.io import read_image, write_image
from lsm.image.pixels import ImageData, to_depth
from lsm.image.remote import RemotePath

AnyName = str | os.PathLike[str] | RemotePath
"""Files, by path or URL."""

ACCEPTED = (
    "a path or URL, the bytes of an image file or a file opened for reading bytes, an array (H, W) or (H, W, 1 to 4) "
    "of uint8 or uint16, a Pillow image, or a float tensor (C, H, W) or (B, C, H, W) in [0, 1] with 1 or 3 channels"
)
"""What `Upscaler` takes, for its messages."""

_STRAIGHT = ("L", "LA", "RGB", "RGBA")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_KEPT_INFO = ("icc_profile", "exif", "dpi")
_EXTENSIONS = {"MPO": "jpg", "JPEG": "jpg", "TIFF": "tif"}


def refuse(image: object) -> InputError:
    """Return the error for what is no image."""
    return InputError(f"An image must be {ACCEPTED}; not {type(image).__name__}.")


def from_array(array: np.ndarray) -> ImageData:
    """Return an array (H, W) or (H, W, 1-4) as an image.

    Raises:
        InputError: If it is of another shape or type.
    """
    return ImageData(array[..., None] if array.ndim == 2 else array)


def is_name(image: object) -> bool:
    """Return whether this is a path or a URL."""
    return isinstance(image, str | os.PathLike | RemotePath)


def drop_axis(pixels: np.ndarray) -> np.ndarray:
    """Return grey pixels (H, W, 1) as (H, W), and all others as they are."""
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def from_pillow(image: Image.Image) -> ImageData:
    """Return a Pillow image as it lies in memory: a palette expanded, any other mode as RGB; nothing is turned.

    Raises:
        InputError: If its pixels are floats or 32-bit integers.
    """
    if image.mode in _SIXTEEN:
        return from_array(np.asarray(image).astype(np.uint16))
    if image.mode in ("F", "I"):
        raise InputError(f"A Pillow image of mode {image.mode!r} has no known range; convert it to an array of uint16.")
    if image.mode not in _STRAIGHT or "transparency" in image.info:
        transparent = "transparency" in image.info or image.mode in ("PA", "La", "RGBa")
        grey = image.mode in ("1", "L", "La")
        image = image.convert({(0, 0): "RGB", (0, 1): "L", (1, 0): "RGBA", (1, 1): "LA"}[transparent, grey])
    return from_array(np.asarray(image))


def to_pillow(pixels: np.ndarray, like: Image.Image) -> Image.Image:
    """Return (H, W, C) pixels as a Pillow image with the profile and EXIF of another; 16-bit colour becomes 8-bit."""
    if pixels.dtype == np.uint16 and pixels.shape[2] > 1:
        pixels = to_depth(pixels, np.dtype(np.uint8))
    result = Image.fromarray(drop_axis(pixels))
    result.info.update({key: like.info[key] for key in _KEPT_INFO if key in like.info})
    return result


def read_data(data: bytes) -> ImageData:
    """Read the bytes of an image file.

    Raises:
        InputError: As `read_image`.
    """
    with tempfile.TemporaryDirectory() as folder, _name_bytes(folder):
        path = Path(folder, "image")
        path.write_bytes(data)
        return read_image(path)


def write_data(image: ImageData, like: bytes) -> bytes:
    """Return an image as the bytes of a file, in the format of another file.

    Raises:
        LSMError: If that format cannot hold it, or is one that is only read.
    """
    with Image.open(io.BytesIO(like)) as opened:
        name = str(opened.format)
    with tempfile.TemporaryDirectory() as folder, _name_bytes(folder):
        path = Path(folder, f"image.{_EXTENSIONS.get(name, name.lower())}")
        write_image(path, image)
        return path.read_bytes()


@contextlib.contextmanager
def _name_bytes(folder: str) -> Iterator[None]:
    """Make errors speak of the bytes rather than of the file through which they pass."""
    try:
        yield
    except LSMError as error:
        raise type(error)(f"The bytes{str(error).partition('image')[2]}" if folder in str(error) else error) from error


def batch_of(image: Tensor) -> Tensor:
    """Return a tensor (C, H, W) or (B, C, H, W) as a batch (B, 3, H, W) of float32, grey repeated.

    Raises:
        InputError: If it is of another shape or type, or its values are those of 8 bits rather than in [0, 1].
    """
    good = image.dim() in (3, 4) and image.shape[-3] in (1, 3) and min(image.shape) >= 1 and image.is_floating_point()
    if not good:
        raise InputError(f"An image must be {ACCEPTED}; not a tensor of {image.dtype} of shape {tuple(image.shape)}.")
    batch = (image[None] if image.dim() == 3 else image).detach().float()
    low, high = (float(value) for value in batch.aminmax())
    if not (low >= -1 and high <= 2):  # what interpolation adds beyond [0, 1] is less; false for NaN too
        raise InputError(f"A tensor's values must lie in [0, 1]; these run from {low:g} to {high:g}.")
    return batch.expand(-1, 3, -1, -1)


def batch_like(result: Tensor, image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a result (B, 3, rH, rW) at a size, with the channels, axes, type and device of the image, in [0, 1]."""
    if result.shape[2:] != size:
        result = functional.interpolate(result, size, mode="bicubic", align_corners=False, antialias=True)
    if image.shape[-3] == 1:
        result = result.mean(dim=1, keepdim=True)
    result = result.clamp(0, 1).to(image.device, image.dtype)
    return result[0] if image.dim() == 3 else result


def read_all(file: Any) -> bytes:
    """Read an opened file to its end.

    Raises:
        InputError: If it gives text.
    """
    data = file.read()
    if not isinstance(data, (bytes, bytearray)):
        raise InputError("The file is opened for text; open it in the mode 'rb'.")
    return bytes(data)
