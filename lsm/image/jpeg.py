"""A JPEG's segments: scans and end of the image, records that Pillow does not pass on, and the quality it was saved at.

ITU-T T.81, annex B.
"""

from __future__ import annotations

import contextlib
import re
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image, JpegImagePlugin

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # within a scan FF is followed by 0 or is a restart marker
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_PHOTOSHOP, _IPTC = b"Photoshop 3.0\0", 0x0404
_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
"""In the order of Pillow's numbers of them."""
_STANDARD_LUMINANCE = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
     87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
     72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip
"""The table of annex K, which nearly all encoders scale by their quality."""


@dataclass(frozen=True)
class Layout:
    """Where the parts of a file are.

    Attributes:
        scans: The number of scans of the first image.
        end: The first byte behind it; the file's length where no end is marked.
        segments: Marker and content of its segments without the compressed data.
    """

    scans: int
    end: int
    segments: list[tuple[int, bytes]]


def layout(data: bytes) -> Layout:
    """Follow the segments of a file as decoders do: from marker to marker, past what lies between."""
    segments: list[tuple[int, bytes]] = []
    scans, place = 0, 2
    while (match := _MARKER.search(data, place)) is not None:
        marker, place = match[1][0], match.end()
        if marker == _EOI:
            return Layout(scans, place, segments)
        if marker in (_SOI, _TEM) or place + 2 > len(data):
            continue
        (length,) = struct.unpack_from(">H", data, place)
        if marker == _SOS:
            scans += 1
        else:
            segments.append((marker, data[place + 2 : place + length]))
        place += max(2, length)
    return Layout(scans, len(data), segments)


def iptc_of(image: Image.Image) -> bytes | None:
    """Return the IPTC records of an opened JPEG, which lie in a block of Photoshop's."""
    with contextlib.suppress(Exception):
        return image.info["photoshop"][_IPTC] or None
    return None


def iptc_segment(records: bytes) -> bytes:
    """Return the segment of a JPEG that holds IPTC records; none if they are too long for one."""
    block = b"8BIM" + struct.pack(">HxxI", _IPTC, len(records)) + records + b"\0" * (len(records) % 2)
    content = _PHOTOSHOP + block
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content if len(content) < 65534 else b""


def quality_of(image: Image.Image) -> int | None:
    """Return the quality from 1 to 100 at which libjpeg would have made an opened JPEG's table for luminance.

    Encoders with tables of their own are given the quality with the nearest steps, in the mean of their logarithms.
    """
    with contextlib.suppress(Exception):
        table = np.asarray(image.quantization[0], np.float64)  # type: ignore[attr-defined]
        qualities = np.arange(1, 101)
        factors = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)[:, None]
        tables = np.clip((_STANDARD_LUMINANCE * factors + 50) // 100, 1, 255)
        distance = np.abs(np.log(tables) - np.log(table)).sum(axis=1)
        return int(qualities[distance.argmin()])
    return None


def subsampling_of(image: Image.Image) -> str | None:
    """Return an opened JPEG's chroma subsampling, e.g. "4:2:0"; none if it is grey or of a rare kind."""
    with contextlib.suppress(Exception):
        number = JpegImagePlugin.get_sampling(image)
        return _SUBSAMPLINGS[number] if number >= 0 else None
    return None
