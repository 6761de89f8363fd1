"""EXIF blocks: what stays true of an upright, larger copy, and the block that is written with it."""

from __future__ import annotations

import contextlib
import io
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

ORIENTATION = 0x0112
PROCESSING_SOFTWARE = 0x000B
DESCRIPTION = 0x010E
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
RESOLUTION = (0x011A, 0x011B, 0x0128)  # across, down, unit
_INCH, _CENTIMETRE = 2, 3
_MOST_DPI = 1e6
"""Pixels an inch; what states more (a pixel of 25 nm) is damaged, and not every format has a place for it."""
KEPT_TAGS = (
    *(PROCESSING_SOFTWARE, 0x010D, DESCRIPTION, 0x010F, 0x0110, 0x011D, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298),
    *(0x4746, 0x4749),  # Windows' rating, in stars and in percent
    *range(0x9C9B, 0x9CA0),  # Windows' title, comment, author, keywords, subject
)
"""Tags that stay true when the pixels change: what, where, when, by whom. Offsets, sizes and thumbnails do not."""
STALE_IN_EXIF_IFD = (0xA002, 0xA003, 0xA005, 0x927C)  # size in pixels, offset, maker's note (which holds offsets)
_PROGRAMS_OWN = ('{"shape', "ImageJ=", "<?xml", "<OME")
"""Beginnings of descriptions in which programs keep the layout of a file's pages; a larger copy has another layout."""


def exif_of(image: Image.Image) -> Image.Exif:
    """Return an opened image's EXIF block; an empty one if there is none or it cannot be read."""
    with contextlib.suppress(Exception):  # damaged metadata is common, and no reason to refuse sound pixels
        return image.getexif()
    return Image.Exif()


def exif_of_tiff(data: bytes, offset: int) -> Image.Exif:
    """Return the tags of a TIFF's page, which have an EXIF block's form; none if they cannot be read.

    Args:
        data: The whole file.
        offset: Of the page's directory.
    """
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # as above
        exif.endian = "<" if data[:2] == b"II" else ">"
        exif.bigtiff = data[2:4] in (b"+\0", b"\0+")
        exif.load_from_fp(io.BytesIO(data), offset)
        dict(exif)
    return exif


def kept_exif(source: Image.Exif) -> bytes | None:
    """Collect the tags that are still true of an upright, larger copy.

    Returns:
        A block without the "Exif" prefix, or none if nothing is left or the block cannot be read.
    """
    kept = Image.Exif()
    with contextlib.suppress(Exception):  # as above
        for tag in KEPT_TAGS:
            if tag in source and not (tag == DESCRIPTION and str(source[tag]).startswith(_PROGRAMS_OWN)):
                kept[tag] = source[tag]
    for ifd in (EXIF_IFD, GPS_IFD):
        with contextlib.suppress(Exception):
            values = {tag: value for tag, value in source.get_ifd(ifd).items() if tag not in STALE_IN_EXIF_IFD}
            if values:
                kept.get_ifd(ifd).update(values)
    return _serialised(kept)


def exif_dpi(source: Image.Exif) -> tuple[float, float] | None:
    """Return the resolution across and down in pixels an inch; none where there is none or it has no unit."""
    with contextlib.suppress(Exception):
        across, down, unit = (source.get(tag) for tag in RESOLUTION)
        if across is not None and down is not None and unit in (_INCH, _CENTIMETRE):
            factor = 2.54 if unit == _CENTIMETRE else 1.0
            return sensible_dpi(float(across) * factor, float(down) * factor)
    return None


def sensible_dpi(across: float, down: float) -> tuple[float, float] | None:
    """Return a resolution in pixels an inch if it can be one, which damaged files' negative, endless or NaN cannot."""
    return (across, down) if 0 < across <= _MOST_DPI and 0 < down <= _MOST_DPI else None


def orientation(source: Image.Exif) -> int:
    """Return the orientation, 1 to 8; 1 where there is none or it makes no sense."""
    with contextlib.suppress(Exception):
        value = source.get(ORIENTATION, 1)
        return value if value in range(1, 9) else 1
    return 1


def loaded(exif: bytes | None) -> Image.Exif:
    """Return a block that `kept_exif` made, to be read and changed."""
    block = Image.Exif()
    if exif:
        block.load(exif)
    return block


def block_to_write(exif: bytes | None, note: str | None, dpi: tuple[float, float] | None) -> bytes | None:
    """Return the block for an output: what is kept, the software that made the pixels, and the resolution.

    Args:
        exif: From `kept_exif`.
        note: For the tag ProcessingSoftware.
        dpi: Pixels an inch, across and down.
    """
    block = loaded(exif)
    if note:
        block[PROCESSING_SOFTWARE] = note
    if dpi:
        for tag, value in zip(RESOLUTION, (*dpi, _INCH), strict=True):
            block[tag] = TiffImagePlugin.IFDRational(round(value * 1000), 1000) if value is not _INCH else value
    return _serialised(block)


def append_ifd(file: BinaryIO, values: dict[int, object], group: int) -> int:
    """Append a directory to a TIFF.

    Args:
        file: An open TIFF, readable and writable.
        values: Tags as Pillow reads them.
        group: `EXIF_IFD` or `GPS_IFD`, which decides the types of the tags.

    Returns:
        Where it begins.
    """
    file.seek(0)
    head = file.read(16)
    ifd = TiffImagePlugin.ImageFileDirectory_v2(head[: 16 if head[2:4] in (b"+\0", b"\0+") else 8], group=group)
    for tag, value in values.items():
        ifd[tag] = value
    place = file.seek(0, io.SEEK_END)
    place += file.write(b"\0" * (place % 2))  # directories begin at even places
    file.write(ifd.tobytes(place))
    return place


def _serialised(exif: Image.Exif) -> bytes | None:
    """Return the bytes of a block from its TIFF header on, or none if it is empty or holds values of a wrong type."""
    if not exif and not exif.get_ifd(EXIF_IFD) and not exif.get_ifd(GPS_IFD):
        return None
    with contextlib.suppress(Exception):  # values that Pillow reads but cannot write
        return exif.tobytes().removeprefix(b"Exif\0\0")
    return None
