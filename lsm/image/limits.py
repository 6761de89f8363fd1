"""What a small file may ask for: pixels, inflated bytes and scans are counted before a decoder believes the file."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any

from lsm.errors import InputError

MAX_SCANS = 500  # of a JPEG; progressive ones of cameras and programs have about ten
_HOW: dict[int, Callable[[], Any]] = {8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor}
"""Decompressors without a limit of their own, by TIFF's number of the compression."""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image with more pixels than allowed.

    Raises:
        InputError: With both numbers.
    """
    if width * height > max_pixels:
        raise InputError(
            f"{width}×{height} is {width * height / 1e6:.0f} megapixels, more than the limit of {max_pixels / 1e6:.0f} "
            f"that guards against decompression bombs; raise `max_pixels` if the file is trusted."
        )


def check_scans(scans: int) -> None:
    """Refuse a JPEG with so many scans that decoding would take hours: each passes over the whole image anew.

    Raises:
        InputError: With the number found.
    """
    if scans > MAX_SCANS:
        raise InputError(f"holds {scans} scans, more than the limit of {MAX_SCANS} that guards against bombs.")


def check_icon(data: bytes, max_pixels: int) -> None:
    """Refuse an icon one of whose images is larger than allowed; its directory may state other sizes than they have.

    Raises:
        InputError: See `check_size`.
    """
    (count,) = struct.unpack_from("<H", data, 4)
    for number in range(count):
        (start,) = struct.unpack_from("<I", data, 6 + 16 * number + 12)
        if data[start : start + 8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack_from(">II", data, start + 16)
        else:
            width, height = (abs(side) for side in struct.unpack_from("<ii", data, start + 4))
        check_size(width, height, max_pixels)


def check_inflation(packed: bytes, compression: int, expected: int) -> None:
    """Refuse packed data that inflate to more than twice what the file's own numbers announce.

    Args:
        packed: Packed data, e.g. a strip of a TIFF.
        compression: TIFF's number of the compression; others than deflate and LZMA cannot hold such bombs.
        expected: Bytes announced.

    Raises:
        InputError: If there are more.
    """
    if compression not in _HOW:
        return
    limit = 2 * expected + 65536  # some writers pad
    if len(_HOW[compression]().decompress(packed, limit + 1)) > limit:
        raise InputError(f"holds packed data that inflate to more than the {expected} bytes announced.")
