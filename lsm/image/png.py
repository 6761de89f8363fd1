"""PNG chunks besides the pixels: what they say of the image, and how they come into a new file.

https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from lsm.image.metadata import Metadata

COLOUR_CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEYWORD = b"XML:com.adobe.xmp"
_HEAD = 33  # bytes of the signature and the chunk IHDR
_INCH = 0.0254  # metres

Chunk = tuple[bytes, bytes]
"""A kind and a content."""


def _heads(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, place and length of the contents of a PNG's chunks, up to its end; the last may be cut off."""
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield kind, place + 8, length
        if kind == b"IEND":
            return
        place += 12 + length


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yield a PNG's chunks but those of pixels, up to its end or to the first that is cut off."""
    for kind, place, length in _heads(data):
        if kind == b"IEND" or place + length + 4 > len(data):
            return
        if kind != b"IDAT":
            yield kind, data[place : place + length]


def texts_and_colour(data: bytes) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
    """Return a PNG's text chunks, but for XMP, and its chunks on colour."""
    texts, colour = [], []
    for kind, content in chunks(data):
        if kind in TEXT_CHUNKS and not content.startswith(XMP_KEYWORD + b"\0"):
            texts.append((kind, content))
        elif kind in COLOUR_CHUNKS:
            colour.append((kind, content))
    return tuple(texts), tuple(colour)


def chunks_to_write(metadata: Metadata, profile: bytes | None, exif: bytes | None) -> list[Chunk]:
    """Return the chunks that stand between a new PNG's head and its pixels, in the order that the format asks for.

    Args:
        metadata: What to write.
        profile: Colour profile that fits the pixels.
        exif: EXIF block.
    """
    listed: list[Chunk] = []
    # A profile and sRGB exclude each other.
    listed += [chunk for chunk in metadata.colour_chunks if not (profile and chunk[0] == b"sRGB")]
    if profile:
        listed.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)))
    if metadata.dpi:
        listed.append((b"pHYs", struct.pack(">IIB", *(min(round(dpi / _INCH), 2**31 - 1) for dpi in metadata.dpi), 1)))
    if exif:
        listed.append((b"eXIf", exif))
    if metadata.xmp:
        listed.append((b"iTXt", XMP_KEYWORD + bytes(5) + metadata.xmp))
    if metadata.comment:
        listed.append((b"tEXt", b"Comment\0" + metadata.comment.replace(b"\0", b"")))
    return [*listed, *metadata.texts]


def write_chunk(file: Any, kind: bytes, content: bytes) -> None:
    """Write a chunk with its length and checksum."""
    file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))


class AfterHead:
    """A file into which Pillow writes a PNG; further chunks follow the head, also those that Pillow has no option for.

    Args:
        file: Opened for writing bytes.
        listed: The chunks.
    """

    def __init__(self, file: BinaryIO, listed: Iterable[Chunk]) -> None:
        self._file, self._listed, self._head = file, listed, b""

    def write(self, data: bytes) -> int:
        """Write bytes; what belongs to the head waits until it is whole."""
        if len(self._head) >= _HEAD:
            return self._file.write(data)
        self._head += data
        if len(self._head) >= _HEAD:
            self._file.write(self._head[:_HEAD])
            for kind, content in self._listed:
                write_chunk(self._file, kind, content)
            self._file.write(self._head[_HEAD:])
        return len(data)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def scale_transparency(data: bytes, image: Image.Image) -> None:
    """Expand the transparent grey of a PNG of 1, 2 or 4 bits to 8 bits, as Pillow expands its pixels.

    Args:
        data: The whole file.
        image: The same opened by Pillow; its `info` is changed.
    """
    depth, colour_type, transparent = data[24], data[25], image.info.get("transparency")
    if colour_type == 0 and depth in (2, 4) and isinstance(transparent, int):
        most = 2**depth - 1
        image.info["transparency"] = (transparent & most) * 255 // most


def _refuse_long_chunks(data: bytes) -> None:
    """Refuse a chunk that is longer than the file: OpenCV makes room for what it states, gigabytes, before it reads."""
    for kind, place, length in _heads(data):
        if place + length > len(data):
            raise ValueError(f"the chunk {kind.decode('ascii', 'replace')!r} is cut off")


def decode_16_bits(data: bytes, image: Image.Image) -> np.ndarray:
    """Decode a 16-bit PNG, which Pillow has found whole, to (H, W, C) uint16."""
    transparent = image.info.get("transparency")
    if image.mode.startswith("I"):
        pixels: np.ndarray = np.asarray(image).astype(np.uint16)[..., None]
    else:
        import cv2

        _refuse_long_chunks(data)
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.dtype != np.uint16:
            raise ValueError("not a readable 16-bit PNG")
        # OpenCV gives blue, green, red, and repeats grey for files of grey with alpha (colour type 4).
        order = [0, 3] if data[25] == 4 else [2, 1, 0]
        pixels = decoded[..., order if data[25] != 6 else [2, 1, 0, 3]]
    if transparent is None:
        return pixels
    opaque = (pixels != np.asarray(transparent, np.uint16)).any(axis=2, keepdims=True)
    return np.concatenate([pixels, opaque.astype(np.uint16) * np.uint16(65535)], axis=2)
