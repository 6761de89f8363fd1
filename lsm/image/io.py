"""The one place that reads and writes image files: names in, `ImageData`s out, and back.

Written are PNG, JPEG, WebP, TIFF and BMP; `lsm.image.formats` lists what else is read. What survives a round trip:
channels, bits a sample, and the `Metadata`; the orientation is applied to the pixels on reading, so that no viewer can
get it wrong.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from lsm.errors import InputError, LSMError, OptionError, one_line
from lsm.files import atomic_file
from lsm.image.decode import decode, decode_pages, open_head
from lsm.image.encode import encode, encode_pages
from lsm.image.formats import READABLE, TIFF, format_of, is_image_name, kind_of
from lsm.image.limits import check_size
from lsm.image.modes import may_have_alpha
from lsm.image.pixels import ImageData
from lsm.image.plugins import jxl_size
from lsm.image.remote import AnyPath, RemotePath, any_path

__all__ = [
    "MAX_PIXELS", "OutputExistsError", "has_alpha", "is_image_name", "printable", "read_image", "read_pages",
    "read_rgb", "write_image", "write_pages",
]  # fmt: skip


class OutputExistsError(InputError):
    """A file that may not be replaced has appeared under an output's name."""


MAX_PIXELS = 128_000_000
"""Default limit of pixels read: above the largest camera's 102 megapixels, below what a bomb needs."""


def read_image(path: str | os.PathLike[str] | RemotePath, max_pixels: int = MAX_PIXELS) -> ImageData:
    """Read a file that holds one image; of an animation the first frame.

    Args:
        path: Of an image file, or its URL; the first bytes tell the format, whatever the ending.
        max_pixels: Larger images are refused before they are decompressed.

    Returns:
        The image, upright, with notes on what of the file it does not hold.

    Raises:
        InputError: In one line, with the name, if the file is missing, empty, damaged, too large, not an image, or a
            TIFF of several pages.
    """
    path = any_path(path)
    data = _bytes_of(path)
    with _telling_of(path):
        return decode(data, max_pixels, path.suffix)


def read_pages(path: str | os.PathLike[str] | RemotePath, max_pixels: int = MAX_PIXELS) -> Iterator[ImageData]:
    """Read the pages of a TIFF one by one, thumbnails and masks left out; another file's image is its only page.

    Args:
        path: See `read_image`.
        max_pixels: Larger pages are refused before they are decompressed.

    Yields:
        The pages, each with their number in `frames`.

    Raises:
        InputError: As `read_image` does.
    """
    path = any_path(path)
    pages = decode_pages(_bytes_of(path), max_pixels, path.suffix)
    while True:
        with _telling_of(path):
            page = next(pages, None)
        if page is None:
            return
        yield page


def write_image(
    path: str | os.PathLike[str] | RemotePath, image: ImageData | np.ndarray, replace: bool = True
) -> list[str]:
    """Write an image, whole or not at all; the ending says the format.

    Args:
        path: Of the file to make, or its URL; its folder must exist.
        image: An image, or its pixels: (H, W) or (H, W, 1-4), uint8, uint16, or float32 in [0, 1].
        replace: Whether a file of that name may be replaced; else it is left, and writing fails.

    Returns:
        Lines on what of the image and its metadata the format cannot hold.

    Raises:
        OptionError: On an ending of no format that is written.
        InputError: If the format cannot hold the image, or the file cannot be written.
        OutputExistsError: If there is a file of that name and it may not be replaced.
    """
    path = any_path(path)
    if isinstance(image, np.ndarray):
        image = ImageData(image[..., None] if image.ndim == 2 else image)
    form = format_of(path)
    with _new_file(path, replace) as file:
        return encode(image, form, file)


def write_pages(
    path: str | os.PathLike[str] | RemotePath, images: Iterable[ImageData], count: int, replace: bool = True
) -> list[str]:
    """Write images as the pages of a TIFF, each as it comes, whole or not at all.

    Args:
        path: Of the file to make, or its URL; its folder must exist.
        images: One a page; they may be made while the file is written.
        count: How many there are about.
        replace: See `write_image`.

    Returns:
        Lines on what the format cannot hold.

    Raises:
        OptionError: If the ending is not that of a TIFF.
        InputError: If the file cannot be written.
        OutputExistsError: As `write_image` does.
    """
    path = any_path(path)
    if format_of(path) is not TIFF:
        raise OptionError(f"{printable(path)}: several pages can be written to a TIFF only; end the name with .tif.")
    with _new_file(path, replace) as file:
        return encode_pages(images, file, count)


def read_rgb(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image as 8-bit RGB, (H, W, 3) uint8: alpha dropped, grey repeated, 16 bits rounded to 8."""
    return read_image(path, max_pixels).rgb()


def has_alpha(path: str | os.PathLike[str] | RemotePath) -> bool:
    """Return whether a file's image has alpha, by its head; false if it cannot be read."""
    with contextlib.suppress(Exception), _quiet_decoders():
        path = any_path(path)
        if isinstance(path, RemotePath) or path.is_file():  # as in `read_image`
            with path.open("rb") as file:
                kind = kind_of(file.read(64), path.suffix)
                if kind == "JPEG":
                    return False
                file.seek(0)
                if kind == "JXL":  # its plug-in decodes the pixels as soon as it opens a file
                    check_size(*jxl_size(file.read(4096)), MAX_PIXELS)
                    file.seek(0)
                with open_head(file, kind) as image:
                    return may_have_alpha(image)
    return False


def printable(path: str | os.PathLike[str] | RemotePath) -> str:
    """Return a file's name as text that any terminal takes: bytes that are no UTF-8, and controls, as escapes."""
    text = os.fsencode(path.url if isinstance(path, RemotePath) else path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _bytes_of(path: AnyPath) -> bytes:
    """Read a whole file.

    Raises:
        InputError: If it is missing, empty, or no plain file.
    """
    try:
        # Reading a pipe or a device might never end. Stores have none, and each question to them takes its time.
        if isinstance(path, Path) and path.exists() and not path.is_file():
            raise InputError(f"{printable(path)}: cannot be read: it is no plain file.")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror or error}.") from error
    if not data:
        raise InputError(f"{printable(path)}: the file is empty.")
    return data


@contextlib.contextmanager
def _telling_of(path: AnyPath) -> Iterator[None]:
    """Turn what decoders raise in the block into one line with the file's name."""
    try:
        with _quiet_decoders():
            yield
    except LSMError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except MemoryError:
        raise
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{printable(path)}: not a {READABLE} image, or its head is damaged.") from error
    except Exception as error:  # decoders meet damaged data with exceptions of every kind
        raise InputError(f"{printable(path)}: damaged or cut off ({one_line(error, 120)}).") from error


@contextlib.contextmanager
def _new_file(path: AnyPath, replace: bool) -> Iterator[BinaryIO]:
    """Open a file to be written whole or not at all, with errors in one line."""
    try:
        with path.new_file(replace) if isinstance(path, RemotePath) else atomic_file(path, replace) as file:
            yield file
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except FileExistsError as error:
        raise OutputExistsError(f"{printable(path)}: exists by now; another run has made it.") from error
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be written: {error.strerror or error}.") from error


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
