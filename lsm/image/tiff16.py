"""A reader of 16-bit TIFF files.

tifffile alone gets planar layouts and grey with alpha right; where it lacks the decompressor (LZW), OpenCV reads.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from lsm.errors import InputError
from lsm.image.limits import check_inflation, check_size
from lsm.image.metadata import fitting_profile, kept_exif, upright
from lsm.image.pixels import ImageData

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_SAMPLES = 32  # a pixel; all beyond colour and one alpha are left out


def read_tiff16(data: bytes, max_pixels: int) -> ImageData | None:
    """Decode a TIFF of 16-bit integers.

    Args:
        data: The whole file.
        max_pixels: Larger images are refused before anything is decompressed.

    Returns:
        The image, upright; none if the file holds another kind of numbers.

    Raises:
        InputError: If the image is too large, has several pages, or a layout that cannot be read.
        Exception: Of any kind, on damaged data.
    """
    import tifffile

    try:
        file = tifffile.TiffFile(io.BytesIO(data))
    except tifffile.TiffFileError:
        return None
    with file:
        page: Any = file.pages[0]
        if page.bitspersample != 16 or page.sampleformat != 1 or page.photometric not in (0, 1, 2):
            return None
        _check_layout(page, max_pixels)
        if len(file.pages) > 1:
            raise InputError(f"holds {len(file.pages)} pages; save the one to upscale as a file of its own.")
        _check_segments(page, data)
        pixels = _pixels(page, data)
        profile = page.tags.valueof("InterColorProfile")
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
            exif = kept_exif(image)
    except Image.UnidentifiedImageError:  # grey with alpha
        exif = None
    return ImageData(pixels, fitting_profile(profile, pixels.shape[2]), exif)


def _check_layout(page: Any, max_pixels: int) -> None:
    """Refuse numbers that would have tifffile allocate more than an image needs."""
    width, length = (page.tilewidth, page.tilelength) if page.is_tiled else (0, 0)
    numbers = (page.imagewidth, page.imagelength, page.samplesperpixel, page.rowsperstrip, width, length)
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError("sizes that are no numbers")
    check_size(page.imagewidth, page.imagelength, max_pixels)
    check_size(width, length, max_pixels)
    if page.samplesperpixel > MOST_SAMPLES or page.imagedepth != 1:
        raise InputError(f"holds {page.samplesperpixel} samples a pixel; at most {MOST_SAMPLES} can be read.")


def _check_segments(page: Any, data: bytes) -> None:
    """Refuse strips or tiles that inflate to more than they should."""
    rows = min(page.rowsperstrip or page.imagelength, page.imagelength)
    area = page.tilewidth * page.tilelength if page.is_tiled else rows * page.imagewidth
    expected = 2 * area * (page.samplesperpixel if page.planarconfig == 1 else 1)
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        check_inflation(data[start : start + length], int(page.compression), expected)


def _pixels(page: Any, data: bytes) -> np.ndarray:
    """Give the pixels of a 16-bit page, (H, W, C) uint16, upright, black as zero, alpha straight."""
    colours = 3 if page.photometric == 2 else 1
    channels = colours + (page.samplesperpixel > colours)
    try:
        pixels = page.asarray()
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, 2)
        pixels = upright(pixels.reshape(*pixels.shape[:2], -1)[..., :channels], page.tags.valueof("Orientation") or 1)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        pixels = _by_opencv(page, data, channels)
    if page.photometric == 0:
        pixels = np.concatenate([65535 - pixels[..., :1], pixels[..., 1:]], axis=2)
    premultiplied = channels > colours and tuple(page.extrasamples)[:1] == (1,)
    return _straight(pixels) if premultiplied else pixels


def _by_opencv(page: Any, data: bytes, channels: int) -> np.ndarray:
    """Decode what tifffile has no decompressor for. OpenCV turns the image upright itself."""
    import cv2

    orders = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}
    if page.planarconfig == 2 or page.photometric == 0 or channels != page.samplesperpixel or channels not in orders:
        raise InputError(f"holds 16-bit {page.compression.name} data in an unusual layout; save it uncompressed.")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("not a readable 16-bit TIFF")
    return np.ascontiguousarray(decoded.reshape(*decoded.shape[:2], -1)[..., orders[channels]])


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Divide colour by alpha, (H, W, C) uint16."""
    alpha = pixels[..., -1:].astype(np.float64)
    colour = np.divide(pixels[..., :-1] * 65535.0, alpha, out=np.zeros(pixels[..., :-1].shape), where=alpha > 0)
    return np.concatenate([np.minimum(np.rint(colour), 65535).astype(np.uint16), pixels[..., -1:]], axis=2)
