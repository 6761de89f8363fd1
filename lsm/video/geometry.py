"""How stored frames are turned to be seen: the eight display matrices that keep rows and columns straight."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class Orientation:
    """What makes a stored frame upright: first rows become columns, then the mirrors.

    Attributes:
        transposed: Whether rows become columns.
        mirrored: Whether left and right change places.
        flipped: Whether top and bottom change places.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Return (H, W, C) pixels upright, contiguous in memory."""
        if self.transposed:
            pixels = pixels.transpose(1, 0, 2)
        return np.ascontiguousarray(pixels[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1])

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of an upright frame."""
        return (width, height) if self.transposed else (height, width)

    def aspect(self, aspect: Fraction) -> Fraction:
        """Return the width of an upright pixel by its height."""
        return 1 / aspect if self.transposed else aspect


def orientation_of(matrix: bytes | None) -> Orientation:
    """Read a display matrix (a b u, c d v, x y w): the pixel at (x, y) is seen at (ax + cy, bx + dy).

    Args:
        matrix: Nine 32-bit integers in the machine's order, or none. One that is none of the eight is taken for the
            nearest.
    """
    if matrix is None or len(matrix) != 36:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, mirrored=c < 0, flipped=b < 0)
    return Orientation(False, mirrored=a < 0, flipped=d < 0)
