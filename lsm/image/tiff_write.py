"""`ImageData` → TIFF, of one page or several, with EXIF and GPS directories that no library writes into it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from lsm.image.exif import EXIF_IFD, GPS_IFD, append_ifd, block_to_write, loaded
from lsm.image.metadata import fitting_profile
from lsm.image.pixels import ImageData
from lsm.image.tiff_read import IPTC, LARGEST_VALUE, SMALLEST_VALUE, XMP

_LARGEST = 2**32 - 2**25  # bytes of pixels in a file with addresses of 32 bits
_STAND_IN = {EXIF_IFD: EXIF_IFD - 1, GPS_IFD: GPS_IFD - 1}
"""Unused tags by those that tifffile leaves out; they stand in the same place of a directory's order."""


def write_tiff(file: BinaryIO, images: Iterable[ImageData], pages: int = 1) -> None:
    """Write images as the pages of a TIFF, each as it comes.

    Args:
        file: Opened for writing and reading bytes, and seekable.
        images: One a page.
        pages: How many there are about, which decides on the width of addresses.
    """
    import tifffile

    writer, blocks = None, []
    for image in images:
        if writer is None:
            big = image.pixels.nbytes * pages > _LARGEST
            writer = tifffile.TiffWriter(file, bigtiff=big)
        block = loaded(block_to_write(image.metadata.exif, image.metadata.note, None))
        blocks.append(block)
        _write_page(writer, image, block, big)
    if writer is not None:
        writer.close()
        _add_directories(file, blocks)


def _write_page(writer: Any, image: ImageData, block: Image.Exif, big: bool) -> None:
    metadata, channels = image.metadata, image.pixels.shape[2]
    pixels = _to_stated_range(image)
    directories = [stand_in for tag, stand_in in _STAND_IN.items() if block.get_ifd(tag)]
    writer.write(
        pixels[..., 0] if channels == 1 else pixels,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        rowsperstrip=64,
        iccprofile=fitting_profile(metadata.icc_profile, channels),
        resolution=metadata.dpi,
        resolutionunit="INCH" if metadata.dpi else None,
        metadata=None,
        software=False,
        extratags=_plain_tags(image, block) + [(tag, "Q" if big else "I", 1, 0, True) for tag in directories],
    )


def _to_stated_range(image: ImageData) -> np.ndarray:
    """Return the pixels, of floats with black and white as the input's tags state them."""
    if image.pixels.dtype != np.float32 or image.metadata.sample_range is None:
        return image.pixels
    low, high = image.metadata.sample_range
    pixels, colours = image.pixels.copy(), image.colour.shape[2]
    pixels[..., :colours] = pixels[..., :colours] * np.float32(high - low) + np.float32(low)
    return pixels


def _plain_tags(image: ImageData, block: Image.Exif) -> list[tuple[int, str, int, Any, bool]]:
    """Return the further tags: those of EXIF's first directory, XMP, IPTC, and the range of floats."""
    tags: list[tuple[int, str, int, Any, bool]] = []
    for tag, value in block.items():
        if isinstance(value, str):
            text = value.encode("utf-8", "replace")
            tags.append((tag, "s", 0, text, True))
        elif isinstance(value, bytes):
            tags.append((tag, "B", len(value), value, True))
        elif isinstance(value, int) and 0 <= value < 65536 and tag not in _STAND_IN:
            tags.append((tag, "H", 1, value, True))
    for tag, content in ((XMP, image.metadata.xmp), (IPTC, image.metadata.iptc)):
        if content:
            tags.append((tag, "B", len(content), content, True))
    if image.metadata.sample_range and image.pixels.dtype == np.float32:
        count = image.pixels.shape[2]
        for tag, value in zip((SMALLEST_VALUE, LARGEST_VALUE), image.metadata.sample_range, strict=True):
            tags.append((tag, "f", count, (value,) * count if count > 1 else value, True))
    return tags


def _add_directories(file: BinaryIO, blocks: list[Image.Exif]) -> None:
    """Append the pages' EXIF and GPS directories, and turn the tags that stand in for them into pointers to them."""
    import tifffile

    if not any(block.get_ifd(tag) for block in blocks for tag in _STAND_IN):
        return
    file.seek(0)  # where tifffile takes the beginning to be
    entries = []
    with tifffile.TiffFile(file) as tiff:
        order, pointer = tiff.byteorder, "Q" if tiff.is_bigtiff else "I"
        for page, block in zip(tiff.pages, blocks, strict=True):
            for tag, stand_in in _STAND_IN.items():
                if (entry := page.tags.get(stand_in)) is not None:  # type: ignore[union-attr]
                    entries.append((entry.offset, entry.valueoffset, tag, block.get_ifd(tag)))
    for offset, place, tag, values in entries:
        start = append_ifd(file, values, tag)
        file.seek(offset)
        file.write(struct.pack(f"{order}H", tag))
        file.seek(place)
        file.write(struct.pack(f"{order}{pointer}", start))
