"""The built-in baselines: what interpolation alone reaches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lsm.image.resize import imresize


def bicubic(image: np.ndarray, scale: int) -> np.ndarray:
    """Upscale by MATLAB's bicubic.

    Args:
        image: `(H, W, 3)` uint8.
        scale: Whole factor.

    Returns:
        `(scale * H, scale * W, 3)` uint8.
    """
    return imresize(image, (image.shape[0] * scale, image.shape[1] * scale))


def lanczos(image: np.ndarray, scale: int) -> np.ndarray:
    """Upscale by Pillow's Lanczos filter of three lobes.

    Args:
        image: `(H, W, 3)` uint8.
        scale: Whole factor.

    Returns:
        `(scale * H, scale * W, 3)` uint8.
    """
    from PIL import Image

    size = (image.shape[1] * scale, image.shape[0] * scale)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


BASELINES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"bicubic": bicubic, "lanczos": lanczos}
