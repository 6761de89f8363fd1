"""A writer of 16-bit PNG files.

Pillow holds no 16-bit colour, and OpenCV writes neither grey with alpha nor colour profiles; the format is simple
enough to write. https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from lsm.image.png import Chunk, write_chunk

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PAETH = 4
BAND_BYTES = 1 << 24  # filtered at a time, so that memory does not grow with the image


def write_png16(file: BinaryIO, pixels: np.ndarray, listed: Iterable[Chunk] = ()) -> None:
    """Write a 16-bit PNG.

    Args:
        file: Opened for writing bytes.
        pixels: (H, W, C) uint16 with 1-4 channels: grey, grey and alpha, RGB, RGBA.
        listed: Chunks to write between the head and the pixels.
    """
    height, width, channels = pixels.shape
    file.write(b"\x89PNG\r\n\x1a\n")
    write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0))
    for kind, content in listed:
        write_chunk(file, kind, content)
    packer = zlib.compressobj(level=6, strategy=zlib.Z_FILTERED)
    for band in _filtered(pixels):
        if packed := packer.compress(band):
            write_chunk(file, b"IDAT", packed)
    write_chunk(file, b"IDAT", packer.flush())
    write_chunk(file, b"IEND", b"")


def _filtered(pixels: np.ndarray) -> Iterator[bytes]:
    """Yield the scan lines in bands, each line as its filter's number and its bytes minus their Paeth prediction."""
    height, width, channels = pixels.shape
    step, line = 2 * channels, 2 * channels * width
    rows = max(1, BAND_BYTES // line)
    above = np.zeros((1, line), np.int16)
    for top in range(0, height, rows):
        band = pixels[top : top + rows].astype(">u2")
        current = band.view(np.uint8).reshape(len(band), line).astype(np.int16)
        up = np.concatenate([above, current[:-1]])
        left, corner = np.zeros_like(current), np.zeros_like(current)
        left[:, step:], corner[:, step:] = current[:, :-step], up[:, :-step]
        lines = np.full((len(band), line + 1), PAETH, np.uint8)
        lines[:, 1:] = current - _paeth(left, up, corner)  # the format's arithmetic is modulo 256
        above = current[-1:]
        yield lines.tobytes()


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Choose of three neighbours the nearest to left + up - corner; ties go left, up, corner."""
    by_left, by_up = np.abs(up - corner), np.abs(left - corner)
    by_corner = np.abs(left + up - 2 * corner)
    return np.where((by_left <= by_up) & (by_left <= by_corner), left, np.where(by_up <= by_corner, up, corner))
