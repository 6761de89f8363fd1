"""HEIC and JPEG XL, which Pillow reads by plug-ins that the extra `formats` brings."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from lsm.errors import InputError, needs_extra

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""Width to height by JPEG XL's number of the ratio."""


def open_plugin(kind: str, file: BinaryIO) -> Image.Image:
    """Open a file by its plug-in.

    Args:
        kind: "HEIF" or "JXL".
        file: Opened for reading bytes.

    Raises:
        OptionError: If the plug-in is not installed.
        Exception: Of any kind, on damaged data.
    """
    if kind == "HEIF":
        with needs_extra("formats", "HEIC files need pillow-heif"):
            from pillow_heif import HeifImageFile
        return HeifImageFile(file)
    with needs_extra("formats", "JPEG XL files need pillow-jxl-plugin"):
        import pillow_jxl  # noqa: F401  (the import makes the format known to Pillow)
    return Image.open(file, formats=("JXL",))


def deep_heif(data: bytes) -> np.ndarray | None:
    """Decode a HEIC of more than 8 bits to (H, W, C) uint16, upright; none if it has 8."""
    from pillow_heif import open_heif

    image: Any = open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    bits = int(image.info.get("bit_depth", 8))
    if bits <= 8:
        return None
    shifted = np.asarray(image)  # to the upper of 16 bits, with zeros below
    if shifted.dtype != np.uint16:
        return None
    white = (2**bits - 1) << (16 - bits)
    return np.rint(shifted.reshape(*shifted.shape[:2], -1) * (65535 / white)).astype(np.uint16)


def jxl_size(data: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG XL from its first bits (ISO/IEC 18181-1, SizeHeader).

    Raises:
        InputError: If there are none.
    """
    bits = _LowBitsFirst(_codestream(data))
    if small := bits.read(1):
        height = (bits.read(5) + 1) * 8
    else:
        height = bits.read((9, 13, 18, 30)[bits.read(2)]) + 1
    ratio = bits.read(3)
    if ratio:
        across, down = _RATIOS[ratio]
        return height * across // down, height
    return ((bits.read(5) + 1) * 8 if small else bits.read((9, 13, 18, 30)[bits.read(2)]) + 1), height


def xml_box(data: bytes) -> bytes | None:
    """Return the XMP packet of a JPEG XL, which its plug-in does not pass on; none if it is absent or compressed."""
    return next((content for kind, content in _boxes(data) if kind == b"xml "), None)


class _LowBitsFirst:
    """Numbers from bytes of which the lowest bit comes first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data[:16], "little")

    def read(self, bits: int) -> int:
        value, self._left = self._left & ((1 << bits) - 1), self._left >> bits
        return value


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the compressed image, behind its mark."""
    if data.startswith(b"\xff\x0a"):
        return data[2:18]
    for kind, content in _boxes(data):
        if kind in (b"jxlc", b"jxlp"):
            start = content[4:22] if kind == b"jxlp" else content[:18]  # a part begins with its number
            if start.startswith(b"\xff\x0a"):
                return start[2:]
    raise InputError("is a JPEG XL without an image, or damaged.")


def _boxes(data: bytes) -> Any:
    """Yield kind and content of the boxes of an ISO media file."""
    place = 0
    while place + 8 <= len(data):
        length, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        elif length == 0:
            length = len(data) - place
        if length < head:
            return
        yield kind, data[place + head : place + length]
        place += length
