"""Resizing as cameras, sites and programs do it, every way of it centred: no mode shifts the image.

- "bicubic": MATLAB's, antialiased, which the field's test sets are made by (`lsm.image.resize`);
- "lanczos": Pillow's, three lobes, antialiased;
- "area": the mean of what a pixel covers, OpenCV's INTER_AREA; linear where the image grows;
- "bilinear": between the two nearest pixels, OpenCV's INTER_LINEAR, torch's `bilinear`: when the image shrinks it
  leaves pixels out, and what it leaves out comes back as aliases.

Nearest pixels are left out: at even scales they lie half a pixel off, and a network would learn the shift.
Each axis is one product with a matrix (out, in), kept for the sizes that occur often.
"""

from __future__ import annotations

import functools
from typing import Literal, get_args

import numpy as np

from lsm.errors import OptionError, unknown_name
from lsm.image.resize import contributions

Mode = Literal["bicubic", "lanczos", "area", "bilinear"]
MODES: tuple[Mode, ...] = get_args(Mode)


def resize(image: np.ndarray, height: int, width: int, mode: Mode) -> np.ndarray:
    """Resize an image.

    Args:
        image: (H, W, C), float32.
        height: Rows of the result.
        width: Columns of the result.
        mode: One of `MODES`.

    Returns:
        (height, width, C) float32, not clamped.

    Raises:
        OptionError: On an unknown mode.
    """
    rows, columns, channels = image.shape
    if (height, width) == (rows, columns):
        return image
    result = weights(mode, rows, height) @ image.reshape(rows, columns * channels)
    turned = result.reshape(height, columns, channels).swapaxes(0, 1).reshape(columns, height * channels)
    turned = weights(mode, columns, width) @ turned
    return np.ascontiguousarray(turned.reshape(width, height, channels).swapaxes(0, 1))


@functools.lru_cache(maxsize=128)
def weights(mode: Mode, in_length: int, out_length: int) -> np.ndarray:
    """Return what every output pixel of one axis takes from every input pixel.

    Args:
        mode: One of `MODES`.
        in_length: Pixels of the input axis.
        out_length: Pixels of the output axis.

    Returns:
        (out_length, in_length) float32, read-only; each row sums to 1.

    Raises:
        OptionError: On an unknown mode.
    """
    if mode not in MODES:
        raise OptionError(unknown_name("way of resizing", mode, MODES))
    if mode == "bicubic":
        matrix = _bicubic(in_length, out_length)
    else:
        scale = out_length / in_length
        centre = ((np.arange(out_length) + 0.5) / scale - 0.5)[:, None]
        distance = np.arange(in_length) - centre
        if mode == "lanczos":
            stretched = distance * min(scale, 1.0)
            matrix = np.where(np.abs(stretched) < 3, np.sinc(stretched) * np.sinc(stretched / 3), 0.0)
        elif mode == "area" and scale < 1:
            # The overlap of an input pixel, one wide, and an output pixel, 1 / scale wide.
            matrix = np.clip((1 + 1 / scale) / 2 - np.abs(distance), 0, 1)
        else:
            inside = np.arange(in_length) - np.clip(centre, 0, in_length - 1)
            matrix = np.clip(1 - np.abs(inside), 0, None)
        matrix /= matrix.sum(axis=1, keepdims=True)
    matrix = matrix.astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _bicubic(in_length: int, out_length: int) -> np.ndarray:
    """Return MATLAB's weights; mirrored pixels count for those that they mirror."""
    taps, indices = contributions(in_length, out_length, out_length / in_length)
    matrix = np.zeros((out_length, in_length))
    np.add.at(matrix, (np.arange(out_length)[:, None], indices), taps)
    return matrix
