"""PSNR, SSIM and PSNR-B as the field measures super-resolution and restoration.

Pure functions on uint8 `(H, W, 3)` RGB arrays; `lsm.metrics.protocols` writes out what they follow.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from lsm.errors import InputError, OptionError, unknown_name

Channel = Literal["y", "rgb"]
CHANNELS: tuple[str, ...] = ("y", "rgb")

_BLOCK = 8
_WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


def rgb_to_y(image: np.ndarray) -> np.ndarray:
    """Convert 8-bit RGB to the luma of BT.601 in studio range, as MATLAB's `rgb2ycbcr` defines it, without rounding.

    Args:
        image: `(H, W, 3)` RGB, uint8.

    Returns:
        Y as `(H, W)` float64 in [16, 235].
    """
    return image.astype(np.float64) @ (np.array([65.481, 128.553, 24.966]) / 255.0) + 16.0


def psnr(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel = "y") -> float:
    """Measure the peak signal-to-noise ratio of two images under `PROTOCOL`.

    Args:
        a: `(H, W, 3)` RGB, uint8.
        b: The other image, of the same shape.
        crop_border: Pixels left out at each side; the protocol takes the scale.
        channel: `"y"` for luma, `"rgb"` for the three colours together.

    Returns:
        Decibels, with peak 255; infinity for equal images.

    Raises:
        InputError: The arrays are not such images, or differ in shape, or nothing is left after the crop.
        OptionError: The channel is unknown.
    """
    planes_a, planes_b = cropped_planes(a, b, crop_border, channel)
    return _decibels(float(np.mean((planes_a - planes_b) ** 2)))


def ssim(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel = "y") -> float:
    """Measure the structural similarity of two images under `PROTOCOL`.

    Args:
        a: `(H, W, 3)` RGB, uint8.
        b: The other image, of the same shape.
        crop_border: Pixels left out at each side; the protocol takes the scale.
        channel: `"y"` for luma, `"rgb"` for the mean over the three colours.

    Returns:
        The mean over the valid region, at most 1.

    Raises:
        InputError: As for `psnr`, or fewer than 11 pixels are left on a side.
        OptionError: The channel is unknown.
    """
    planes_a, planes_b = cropped_planes(a, b, crop_border, channel)
    if min(planes_a.shape[:2]) < _WINDOW:
        raise InputError(
            f"SSIM needs at least {_WINDOW}x{_WINDOW} pixels after the crop of {crop_border} at each side; "
            f"the image has {a.shape[0]}x{a.shape[1]}."
        )
    return float(np.mean([_ssim_plane(planes_a[..., i], planes_b[..., i]) for i in range(planes_a.shape[2])]))


def psnr_b(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel = "y") -> float:
    """Measure PSNR-B, which counts the blocking of JPEG as a further error (Yim & Bovik 2011, blocks of 8×8).

    The blocking of `a` is how much more it jumps between blocks than within them, in squares, if it does:
    BEF = log₂8 / log₂ min(H, W) · (D_between − D_within); PSNR-B = 10 log₁₀(255² / (MSE + BEF)).

    Args:
        a: `(H, W, 3)` RGB, uint8: the restored image; the measure is not symmetric.
        b: The true image, of the same shape.
        crop_border: Pixels left out at each side; blocks are counted from the corner of the whole image.
        channel: `"y"` for luma, `"rgb"` for the mean over the three colours.

    Returns:
        Decibels, with peak 255; infinity for equal images without blocking.

    Raises:
        InputError: As for `psnr`, or fewer than 2 pixels are left on a side.
        OptionError: The channel is unknown.
    """
    planes_a, planes_b = cropped_planes(a, b, crop_border, channel)
    if min(planes_a.shape[:2]) < 2:
        raise InputError(f"PSNR-B needs at least 2x2 pixels after the crop; the image has {a.shape[0]}x{a.shape[1]}.")
    blocking = np.mean([_blocking(planes_a[..., i], crop_border) for i in range(planes_a.shape[2])])
    return _decibels(float(np.mean((planes_a - planes_b) ** 2) + blocking))


def _decibels(error: float) -> float:
    """Turn a mean squared error into decibels with peak 255."""
    return float("inf") if error == 0 else float(10.0 * np.log10(255.0**2 / error))


def _blocking(plane: np.ndarray, crop_border: int) -> float:
    """Compute the blocking effect factor of a float64 plane `(H, W)`, cut out of a larger one."""
    jumps, between = [], []
    for axis in (0, 1):
        squares = np.diff(plane, axis=axis) ** 2
        edges = (np.arange(1, plane.shape[axis]) + crop_border) % _BLOCK == 0
        jumps.append(squares.ravel())
        between.append(np.broadcast_to(edges[:, None] if axis == 0 else edges, squares.shape).ravel())
    jump, is_between = np.concatenate(jumps), np.concatenate(between)
    if not is_between.any() or is_between.all():
        return 0.0
    excess = jump[is_between].mean() - jump[~is_between].mean()
    return float(max(excess, 0.0) * np.log2(_BLOCK) / np.log2(min(plane.shape)))


def cropped_planes(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel) -> tuple[np.ndarray, np.ndarray]:
    """Check, crop and convert a pair to float64 `(H, W, 1)` luma or `(H, W, 3)` RGB in [0, 255]."""
    if channel not in CHANNELS:
        raise OptionError(unknown_name("channel", channel, CHANNELS))
    for image in (a, b):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(f"Metrics take uint8 RGB arrays (H, W, 3), not {image.dtype} of shape {image.shape}.")
    if a.shape != b.shape:
        raise InputError(f"Images of different sizes cannot be compared: {a.shape[:2]} and {b.shape[:2]}.")
    if crop_border < 0 or 2 * crop_border >= min(a.shape[:2]):
        raise InputError(f"Cannot crop {crop_border} pixels at each side of an image of {a.shape[0]}x{a.shape[1]}.")
    inner = (slice(crop_border, a.shape[0] - crop_border), slice(crop_border, a.shape[1] - crop_border))
    if channel == "rgb":
        return a[inner].astype(np.float64), b[inner].astype(np.float64)
    return rgb_to_y(a[inner])[..., None], rgb_to_y(b[inner])[..., None]


def _smooth(plane: np.ndarray) -> np.ndarray:
    """Filter with the Gaussian window and keep the valid region: `(H, W)` to `(H - 10, W - 10)`."""
    import cv2

    offsets = np.arange(_WINDOW) - _WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    window /= window.sum()
    edge = _WINDOW // 2
    filtered = cv2.sepFilter2D(np.ascontiguousarray(plane), cv2.CV_64F, window, window)
    return np.asarray(filtered)[edge:-edge, edge:-edge]


def _ssim_plane(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of two float64 planes `(H, W)` in [0, 255]."""
    mean_a, mean_b = _smooth(a), _smooth(b)
    variance_a = _smooth(a * a) - mean_a**2
    variance_b = _smooth(b * b) - mean_b**2
    covariance = _smooth(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float(np.mean(luminance * structure))
