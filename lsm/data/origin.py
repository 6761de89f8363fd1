"""How a low-resolution image was made, by comparing it with what the usual programs make of the high-resolution one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from PIL import Image

from lsm.image.resize import imresize

SAME = 45.0
"""dB between two images from which they count as made alike: other roundings and borders leave more."""
_CLOSER = 6.0
"""dB by which another kernel must fit better than MATLAB's bicubic."""
_BORDER = 4
"""Pixels at the edge that are left out: programs continue images there in their own ways."""

_Size = tuple[int, int]


def _by_opencv(mode: int) -> Callable[[np.ndarray, _Size], np.ndarray]:
    return lambda hr, size: cv2.resize(hr, size[::-1], interpolation=mode)


def _by_pillow(mode: Image.Resampling) -> Callable[[np.ndarray, _Size], np.ndarray]:
    return lambda hr, size: np.asarray(Image.fromarray(hr).resize(size[::-1], mode))


KERNELS: Mapping[str, Callable[[np.ndarray, _Size], np.ndarray]] = {
    "OpenCV's cubic, without antialiasing": _by_opencv(cv2.INTER_CUBIC),
    "linear interpolation without antialiasing": _by_opencv(cv2.INTER_LINEAR),
    "OpenCV's Lanczos, without antialiasing": _by_opencv(cv2.INTER_LANCZOS4),
    "the mean of areas": _by_opencv(cv2.INTER_AREA),
    "antialiased linear interpolation": _by_pillow(Image.Resampling.BILINEAR),
    "antialiased Lanczos": _by_pillow(Image.Resampling.LANCZOS),
}
"""Ways of making LR that are common, and are not MATLAB's bicubic: each takes HR `(rH, rW, 3)` and `(H, W)`."""


def other_origin(hr: np.ndarray, lr: np.ndarray, *, must_be_bicubic: bool = False) -> str | None:
    """Compare a low-resolution image with MATLAB's bicubic of its high-resolution one.

    Args:
        hr: `(rH, rW, 3)` uint8.
        lr: `(H, W, 3)` uint8, which shows the same.
        must_be_bicubic: Whether an image that no kernel here makes is wrong too; else it may be a real one.

    Returns:
        What it is instead, to follow a file's name; none if it is MATLAB's bicubic, or of unknown origin.
    """
    size = (lr.shape[0], lr.shape[1])
    bicubic = imresize(hr, size)
    fit = _psnr(bicubic, lr)
    if fit >= SAME:
        return None
    if _psnr(bicubic, lr[..., ::-1]) > fit + _CLOSER:
        return "has red and blue swapped"
    fits = {name: _psnr(make(hr, size), lr) for name, make in KERNELS.items()}
    best = max(fits, key=lambda name: fits[name])
    if fits[best] >= SAME and fits[best] > fit + _CLOSER:
        return f"was made by {best}, not by MATLAB's bicubic, from which it is {fit:.1f} dB away"
    return f"is not MATLAB's bicubic, from which it is {fit:.1f} dB away" if must_be_bicubic else None


def _psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Return the PSNR over all channels, the border left out where the image is large enough."""
    if min(first.shape[:2]) > 4 * _BORDER:
        first, second = (each[_BORDER:-_BORDER, _BORDER:-_BORDER] for each in (first, second))
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return 100.0 if error == 0 else 10 * float(np.log10(255**2 / error))
