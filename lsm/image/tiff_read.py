"""TIFF pages → `ImageData`.

Pillow reads 8 bits, in all their layouts. Of 16 bits and floats tifffile alone gets planar layouts and grey with alpha
right; where it lacks the decompressor (LZW), OpenCV reads.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from lsm.errors import InputError
from lsm.image.exif import exif_dpi, exif_of, exif_of_tiff, kept_exif
from lsm.image.limits import check_inflation, check_size
from lsm.image.metadata import Metadata, fitting_profile
from lsm.image.modes import plain_pixels
from lsm.image.pixels import ImageData, upright
from lsm.image.xmp import kept_xmp

MOST_SAMPLES = 32  # a pixel; all beyond colour and one alpha are left out
XMP, IPTC, PROFILE = 700, 33723, 34675
SMALLEST_VALUE, LARGEST_VALUE = 340, 341
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType: a thumbnail, and what another page shows of itself
_CFA, _LINEAR_RAW = 32803, 34892
_UNSIGNED, _FLOAT, _UNDEFINED = 1, 3, 4  # of SampleFormat
_TOLERANCE = 1e-3  # by which floats may leave their range, as resampling does to them


def decode_pages(data: bytes, max_pixels: int) -> Iterator[ImageData]:
    """Decode a TIFF's pages but for thumbnails and masks.

    Args:
        data: The whole file.
        max_pixels: Larger pages are refused before anything is decompressed.

    Yields:
        The images, upright, each with `frames`, their number.

    Raises:
        InputError: If an image is too large, or holds numbers or a layout that cannot be read.
        Exception: Of any kind, on damaged data.
    """
    import tifffile

    try:
        file = tifffile.TiffFile(io.BytesIO(data))
    except tifffile.TiffFileError:  # Pillow may know better
        yield _by_pillow(data, max_pixels, None, 1)
        return
    with file:
        numbers = _numbers_of_images(file)
        for number in numbers:
            page: Any = file.pages[number]
            if _is_for_tifffile(page):
                yield _by_tifffile(page, data, max_pixels, len(numbers))
            else:
                yield _by_pillow(data, max_pixels, page, len(numbers))


def _numbers_of_images(file: Any) -> list[int]:
    """Return the numbers of the pages that are images of their own; the first, if none says so."""
    count = len(file.pages)
    kinds = [int(getattr(file.pages[number], "subfiletype", 0) or 0) for number in range(count)]
    return [number for number in range(count) if not kinds[number] & (_REDUCED | _MASK)] or [0]


def _is_for_tifffile(page: Any) -> bool:
    """Return whether a page holds 16-bit integers or floats, rather than what Pillow reads.

    Raises:
        InputError: If it holds other numbers, with what they are.
    """
    bits, numbers = page.bitspersample, int(page.sampleformat or _UNSIGNED)
    if page.photometric in (_CFA, _LINEAR_RAW):
        raise InputError("holds the raw data of a camera's sensor; develop it to a 16-bit TIFF or a PNG first.")
    if page.photometric in (0, 1, 2) and ((numbers == _UNSIGNED and bits == 16) or numbers == _FLOAT):
        return True
    if numbers not in (_UNSIGNED, _UNDEFINED) or bits not in (1, 2, 4, 8, 16):
        kind = {1: "integers", 2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex numbers"}
        raise InputError(
            f"holds {bits}-bit {kind.get(numbers, 'numbers')} of kind {getattr(page.photometric, 'name', '?')}; of "
            f"grey and RGB, integers of up to 8 and of 16 bits and floats can be read."
        )
    return False


def _by_pillow(data: bytes, max_pixels: int, page: Any, frames: int) -> ImageData:
    """Decode a page of 8 bits; Pillow turns it upright itself."""
    try:
        image = Image.open(io.BytesIO(data if page is None else _from_page(data, page.offset)), formats=("TIFF",))
    except Image.UnidentifiedImageError as error:
        if page is None:
            raise
        what = f"{getattr(page.photometric, 'name', '?')} data packed by {getattr(page.compression, 'name', '?')}"
        raise InputError(f"holds {page.bitspersample}-bit {what}, which cannot be read, or is damaged.") from error
    with image:
        check_size(image.width, image.height, max_pixels)
        source = exif_of_tiff(data, page.offset) if page is not None else exif_of(image)
        image.load()
        pixels, profile = plain_pixels(image)
    return ImageData(pixels, _metadata(source, profile, pixels.shape[2]), frames=frames)


def _from_page(data: bytes, offset: int) -> bytes:
    """Return a TIFF that begins with the page at `offset`, since Pillow opens none whose first page it cannot read."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):  # BigTIFF
        return data[:8] + struct.pack(f"{order}Q", offset) + data[16:]
    return data[:4] + struct.pack(f"{order}I", offset) + data[8:]


def _metadata(source: Image.Exif, profile: Any, channels: int) -> Metadata:
    """Collect what a page's tags say of the image."""
    xmp, iptc = source.get(XMP), source.get(IPTC)
    return Metadata(
        icc_profile=fitting_profile(profile if isinstance(profile, bytes) else None, channels),
        exif=kept_exif(source),
        xmp=kept_xmp(xmp if isinstance(xmp, bytes) else None),
        iptc=iptc if isinstance(iptc, bytes) else None,
        dpi=exif_dpi(source),
    )


def _by_tifffile(page: Any, data: bytes, max_pixels: int, frames: int) -> ImageData:
    """Decode a page of 16 bits or of floats."""
    _check_layout(page, max_pixels)
    _check_segments(page, data)
    stored, bounds = _pixels(page, data), None
    if stored.dtype.kind == "f":
        bounds = _stated_range(page)
        stored = _to_unit_range(stored, bounds, _colours(page))
    pixels = _with_straight_alpha(page, stored)
    metadata = _metadata(exif_of_tiff(data, page.offset), page.tags.valueof(PROFILE), pixels.shape[2])
    return ImageData(pixels, replace(metadata, sample_range=bounds), frames=frames)


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
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    expected = area * samples * max(2, int(page.bitspersample) // 8)
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        check_inflation(data[start : start + length], int(page.compression), expected)


def _colours(page: Any) -> int:
    return 3 if page.photometric == 2 else 1


def _pixels(page: Any, data: bytes) -> np.ndarray:
    """Return the stored samples of a page, (H, W, C) uint16 or float32, upright."""
    channels = _colours(page) + (page.samplesperpixel > _colours(page))
    try:
        pixels = page.asarray()
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, 2)
        pixels = upright(pixels.reshape(*pixels.shape[:2], -1)[..., :channels], page.tags.valueof("Orientation") or 1)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        pixels = _by_opencv(page, data, channels)
    return pixels.astype(np.float32, copy=False) if pixels.dtype.kind == "f" else pixels


def _by_opencv(page: Any, data: bytes, channels: int) -> np.ndarray:
    """Decode what tifffile has no decompressor for. OpenCV turns the image upright itself."""
    import cv2

    orders = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}
    plain = page.planarconfig == 1 and page.photometric != 0 and page.index == 0
    if not plain or channels != page.samplesperpixel or channels not in orders:
        raise InputError(
            f"holds {page.bitspersample}-bit {page.compression.name} data in an unusual layout; save it uncompressed."
        )
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype not in (np.uint16, np.float32, np.float64):
        raise ValueError("not a readable 16-bit or float TIFF")
    return np.ascontiguousarray(decoded.reshape(*decoded.shape[:2], -1)[..., orders[channels]])


def _stated_range(page: Any) -> tuple[float, float] | None:
    """Return the values for black and white that a page states; none if it states none, or no range."""
    bounds = []
    for tag, choose in ((SMALLEST_VALUE, min), (LARGEST_VALUE, max)):
        value = page.tags.valueof(tag)
        if value is None:
            return None
        bounds.append(float(choose(value) if isinstance(value, tuple) else value))
    low, high = bounds
    return (low, high) if np.isfinite(bounds).all() and low < high else None


def _to_unit_range(pixels: np.ndarray, bounds: tuple[float, float] | None, colours: int) -> np.ndarray:
    """Scale floats to [0, 1].

    Raises:
        InputError: If some lie outside of their range or are no numbers.
    """
    if not np.isfinite(pixels).all():
        raise InputError("holds floats that are infinite or no numbers.")
    low, high = bounds or (0.0, 1.0)
    if bounds:
        pixels = pixels.copy()
        pixels[..., :colours] = (pixels[..., :colours] - low) / np.float32(high - low)
    if pixels.min() < -_TOLERANCE or pixels.max() > 1 + _TOLERANCE:
        least, most = (float(value) * (high - low) + low for value in (pixels.min(), pixels.max()))
        raise InputError(
            f"holds floats from {least:.4g} to {most:.4g}; they must lie in [{low:g}, {high:g}]"
            + ("." if bounds else ", or in a range that the tags SMinSampleValue and SMaxSampleValue state.")
        )
    return np.clip(pixels, 0, 1)


def _with_straight_alpha(page: Any, pixels: np.ndarray) -> np.ndarray:
    """Return pixels with black as zero and colours that are not multiplied by alpha."""
    peak = pixels.dtype.type(1.0 if pixels.dtype.kind == "f" else 65535)
    if page.photometric == 0:
        pixels = np.concatenate([peak - pixels[..., :1], pixels[..., 1:]], axis=2)
    if pixels.shape[2] == _colours(page) or tuple(page.extrasamples)[:1] != (1,):
        return pixels
    alpha = pixels[..., -1:].astype(np.float64)
    colour = np.divide(pixels[..., :-1] * float(peak), alpha, out=np.zeros(pixels[..., :-1].shape), where=alpha > 0)
    colour = np.minimum(colour if pixels.dtype.kind == "f" else np.rint(colour), peak).astype(pixels.dtype)
    return np.concatenate([colour, pixels[..., -1:]], axis=2)
