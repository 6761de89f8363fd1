"""MATLAB's bicubic `imresize`, the resampling by which the field defines its low-resolution images.

Below scale 1 the kernel widens by 1/scale, so that it also removes what the smaller image cannot hold; the resamplers
of OpenCV and plain bilinear or bicubic interpolation of most libraries do not, and their pixels differ. Borders are
mirrored with the edge pixel repeated. Weights are those of Keys' cubic kernel with a = -1/2.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from lsm.errors import InputError

_SUPPORT = 4.0  # the cubic kernel is zero outside [-2, 2]


def cubic(x: np.ndarray) -> np.ndarray:
    """Evaluate Keys' cubic convolution kernel with a = -1/2.

    Args:
        x: Distances in pixels, any shape.

    Returns:
        The kernel's values in the same shape, zero where `|x| > 2`.
    """
    near = np.abs(x)
    inner = (1.5 * near - 2.5) * near**2 + 1.0
    outer = ((-0.5 * near + 2.5) * near - 4.0) * near + 2.0
    return np.where(near <= 1, inner, np.where(near <= 2, outer, 0.0))


@functools.lru_cache(maxsize=256)
def contributions(in_length: int, out_length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """List, for every output pixel of one axis, the input pixels it is made of and their weights.

    Args:
        in_length: Pixels of the input axis.
        out_length: Pixels of the output axis.
        scale: Output pixels per input pixel; below 1 the kernel is widened by `1 / scale` (antialiasing).

    Returns:
        Weights `(out_length, P)`, float64, each row summing to 1, and input indices `(out_length, P)` in
        `[0, in_length)`. Both are read-only, since they are cached.
    """
    stretch = min(scale, 1.0)
    width = _SUPPORT / stretch
    # Centres of the output pixels in the input's coordinates, both counted from 1 as MATLAB does.
    centre = np.arange(1, out_length + 1) / scale + 0.5 * (1.0 - 1.0 / scale)
    first = np.floor(centre - width / 2)
    taps = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = stretch * cubic(stretch * (centre[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)

    mirrored = np.concatenate([np.arange(in_length), np.arange(in_length)[::-1]])
    indices = mirrored[np.mod(taps.astype(np.int64) - 1, 2 * in_length)]
    used = weights.any(axis=0)
    weights, indices = weights[:, used], indices[:, used]
    weights.flags.writeable = indices.flags.writeable = False
    return weights, indices


def _resize_axis(image: np.ndarray, axis: int, out_length: int, scale: float) -> np.ndarray:
    """Resample one axis of a float64 array; taps are added one by one, so the sum never depends on threads."""
    weights, indices = contributions(image.shape[axis], out_length, scale)
    shape = [1] * image.ndim
    shape[axis] = out_length
    total = np.zeros([*image.shape[:axis], out_length, *image.shape[axis + 1 :]])
    for tap in range(weights.shape[1]):
        total += weights[:, tap].reshape(shape) * image.take(indices[:, tap], axis=axis)
    return total


def _to_integer(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert as MATLAB does: saturate, and round halves away from zero (NumPy's own rounding goes to even)."""
    return np.floor(np.clip(values, 0, np.iinfo(dtype).max) + 0.5).astype(dtype)


def imresize(image: np.ndarray, scale: float | tuple[int, int]) -> np.ndarray:
    """Resize an image as MATLAB's `imresize(image, scale, 'bicubic')` does, antialiased when it shrinks.

    The axis that shrinks most goes first, rows first where both are equal. An integer image is rounded to its type
    after each axis, as MATLAB does; give floats to have no rounding at all.

    Args:
        image: `(H, W)` or `(H, W, C)`, uint8, uint16 or floating point.
        scale: One factor for both axes, the output being `ceil(factor * size)`; or the output's `(height, width)`.

    Returns:
        The resized image: the same integer type for an integer image, float64 (not clamped) for a floating one.

    Raises:
        InputError: The array is no image, or the requested size or factor is not positive.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise InputError(f"Cannot resize an array of shape {image.shape}; an image is (H, W) or (H, W, C).")
    if image.dtype.kind == "f":
        integer = None
    elif image.dtype in (np.uint8, np.uint16):
        integer = image.dtype
    else:
        raise InputError(f"Cannot resize an image of type {image.dtype}; use uint8, uint16 or floating point.")
    sizes, factors = _geometry(image.shape[:2], scale)

    values = image.astype(np.float64)
    for axis in sorted((0, 1), key=lambda axis: factors[axis]):
        values = _resize_axis(values, axis, sizes[axis], factors[axis])
        if integer is not None:
            values = _to_integer(values, integer).astype(np.float64)
    return values if integer is None else values.astype(integer)


def _geometry(size: tuple[int, ...], scale: float | tuple[int, int]) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the output's `(height, width)` and the scale of each axis."""
    if isinstance(scale, tuple):
        sizes = (int(scale[0]), int(scale[1]))
        if min(sizes) < 1:
            raise InputError(f"Cannot resize to {sizes[0]}x{sizes[1]} pixels; both sides must be at least 1.")
        return sizes, (sizes[0] / size[0], sizes[1] / size[1])
    if not (scale > 0 and math.isfinite(scale)):
        raise InputError(f"Cannot resize by a factor of {scale}; it must be positive and finite.")
    return (math.ceil(scale * size[0]), math.ceil(scale * size[1])), (float(scale), float(scale))
