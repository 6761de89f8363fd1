"""The one place that reads and writes image files: names in, `ImageData`s out, and back.

PNG, JPEG, WebP, TIFF and BMP; 8 and 16 bits; grey and RGB with or without alpha, palettes, 1-bit, CMYK. What survives a
round trip: channels, bits a sample, colour profile, the descriptive EXIF tags, and the orientation, which is applied to
the pixels on reading so that no viewer can get it wrong.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lsm.errors import InputError, one_line
from lsm.files import atomic_file
from lsm.image.decode import FORMATS, decode, may_have_alpha
from lsm.image.encode import EXTENSIONS, encode, format_of
from lsm.image.pixels import ImageData
from lsm.image.remote import RemotePath, any_path

MAX_PIXELS = 128_000_000
"""Default limit of pixels read: above the largest camera's 102 megapixels, below what a bomb needs."""


def read_image(path: str | os.PathLike[str] | RemotePath, max_pixels: int = MAX_PIXELS) -> ImageData:
    """Read an image.

    Args:
        path: Of a PNG, JPEG, WebP, TIFF or BMP file, whatever its extension; or its URL.
        max_pixels: Larger images are refused before they are decompressed.

    Returns:
        The image, upright.

    Raises:
        InputError: In one line, with the name, if the file is missing, empty, damaged, too large or not an image.
    """
    path = any_path(path)
    try:
        # Reading a pipe or a device might never end. Stores have none, and each question to them takes its time.
        if isinstance(path, Path) and path.exists() and not path.is_file():
            raise InputError(f"{printable(path)}: cannot be read: it is no plain file.")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror or error}.") from error
    if not data:
        raise InputError(f"{printable(path)}: the file is empty.")
    try:
        with _quiet_decoders():
            return decode(data, max_pixels)
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except MemoryError:
        raise
    except Image.UnidentifiedImageError as error:
        raise InputError(
            f"{printable(path)}: not a PNG, JPEG, WebP, TIFF or BMP image, or its head is damaged."
        ) from error
    except Exception as error:  # decoders meet damaged data with exceptions of every kind
        raise InputError(f"{printable(path)}: damaged or cut off ({one_line(error, 120)}).") from error


def write_image(path: str | os.PathLike[str] | RemotePath, image: ImageData | np.ndarray, replace: bool = True) -> None:
    """Write an image, whole or not at all; the extension says the format.

    Args:
        path: Of the file to make, or its URL; its folder must exist.
        image: An image, or its pixels: (H, W) or (H, W, 1-4), uint8 or uint16.
        replace: Whether a file of that name may be replaced; else it is left, and writing fails.

    Raises:
        OptionError: On an unknown extension.
        InputError: If the format cannot hold the image, or the file cannot be written.
    """
    path = any_path(path)
    if isinstance(image, np.ndarray):
        image = ImageData(image[..., None] if image.ndim == 2 else image)
    form = format_of(path)
    try:
        with path.new_file(replace) if isinstance(path, RemotePath) else atomic_file(path, replace) as file:
            encode(image, form, file)
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be written: {error.strerror or error}.") from error


def read_rgb(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image as 8-bit RGB, (H, W, 3) uint8: alpha dropped, grey repeated, 16 bits rounded to 8."""
    return read_image(path, max_pixels).rgb()


def has_alpha(path: str | os.PathLike[str] | RemotePath) -> bool:
    """Tell from a file's head whether the image has alpha; false if it cannot be read."""
    with contextlib.suppress(Exception), _quiet_decoders():
        path = any_path(path)
        if isinstance(path, RemotePath) or path.is_file():  # as in `read_image`
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                return may_have_alpha(image)
    return False


def is_image_name(path: Path | RemotePath) -> bool:
    """Tell whether a name has the extension of an image."""
    return path.suffix.lower() in EXTENSIONS


def printable(path: str | os.PathLike[str] | RemotePath) -> str:
    """Give a file's name as text that any terminal takes: bytes that are no UTF-8, and controls, as escapes."""
    text = os.fsencode(path.url if isinstance(path, RemotePath) else path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@contextlib.contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Silence warnings of odd or damaged data, and lift Pillow's global limit of pixels, for which ours stands."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    tifffile = logging.getLogger("tifffile")
    level = tifffile.level
    tifffile.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        tifffile.setLevel(level)
