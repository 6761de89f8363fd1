"""What is done to pixels without a network: alpha, hidden colours, and a last step to another scale.

The resampling is Pillow's, in float: its antialiased bicubic has MATLAB's kernel, with other weights at the border.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from lsm.image.pixels import peak

TRUSTED_ALPHA = 32 / 255
"""From here on a pixel's own colour counts in full: that of a fainter one is often rounded, or left from editing."""
_REACH = 9  # pixels a side of the neighbourhood that a faint pixel's colour is mixed from
_MOST_SOFT = 0.1  # soft pixels to one along an edge from transparent to opaque, up to which edges are hard


def resized(pixels: np.ndarray, height: int, width: int, dtype: np.dtype) -> np.ndarray:
    """Resample by antialiased bicubic, channel by channel.

    Args:
        pixels: (H, W, C) uint8, uint16 or float32.
        height: Of the result.
        width: Of the result.
        dtype: Type of the result; values are scaled to its range.

    Returns:
        (height, width, C), clipped, and rounded to integers.
    """
    most = peak(dtype)
    factor = np.float32(most / peak(pixels.dtype))
    result = np.empty((height, width, pixels.shape[2]), dtype)
    for channel in range(pixels.shape[2]):
        plane = Image.fromarray(pixels[..., channel].astype(np.float32))
        values = np.array(plane.resize((width, height), Image.Resampling.BICUBIC))
        values *= factor
        np.clip(values, 0, most, out=values)
        result[..., channel] = values if dtype.kind == "f" else np.rint(values, out=values)
    return result


def fill_hidden_colours(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Replace faint pixels' colours by their neighbours', weighed by alpha, and hidden ones' by the nearest visible.

    Their stored colour is arbitrary, often black, and would bleed into the edge of what is visible.

    Args:
        colour: (H, W, C).
        alpha: (H, W).

    Returns:
        (H, W, C); the input itself if nothing is faint or hidden, or all is hidden.
    """
    hidden = alpha == 0
    if hidden.all():
        return colour
    colour = _mix_faint_colours(colour, alpha)
    if not hidden.any():
        return colour
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros((int(labels.max()) + 1, colour.shape[2]), colour.dtype)
    nearest[labels[~hidden]] = colour[~hidden]
    return np.where(hidden[..., None], nearest[labels], colour)


def _mix_faint_colours(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Mix each faint pixel's colour, the fainter the more, with its neighbourhood's mean weighed by alpha."""
    opacity = (alpha / np.float32(peak(alpha.dtype))).astype(np.float32)
    faint = (opacity > 0) & (opacity < TRUSTED_ALPHA)
    if not faint.any():
        return colour
    import cv2

    own = colour.astype(np.float32)
    weighed = np.dstack([own * opacity[..., None], opacity])
    sums = cv2.GaussianBlur(weighed, (_REACH, _REACH), 0, borderType=cv2.BORDER_REPLICATE)
    mean = sums[..., :-1] / np.maximum(sums[..., -1:], np.float32(1e-12))
    trust = (opacity[faint] / np.float32(TRUSTED_ALPHA))[:, None] ** 2
    mixed = trust * own[faint] + (1 - trust) * mean[faint]
    result = colour.copy()
    result[faint] = mixed if colour.dtype.kind == "f" else np.rint(mixed)
    return result


def has_hard_edges(alpha: np.ndarray) -> bool:
    """Return whether alpha steps from transparent to opaque without soft pixels between, as in sprites and masks.

    A network draws such steps with specks and waves; bicubic resampling keeps them clean.

    Args:
        alpha: (H, W, 1).
    """
    import cv2

    plane, block = np.ascontiguousarray(alpha[..., 0]), np.ones((2, 2), np.uint8)
    most = peak(alpha.dtype)
    border = {"borderType": cv2.BORDER_REPLICATE}
    edges = (cv2.erode(plane, block, **border) == 0) & (cv2.dilate(plane, block, **border) == most)
    soft = (plane > 0) & (plane < most)
    return bool(edges.any()) and int(soft.sum()) <= _MOST_SOFT * int(edges.sum())


def keep_within_neighbours(upscaled: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Clip upscaled alpha to the values around each pixel, so that opaque stays opaque and transparent transparent.

    Args:
        upscaled: (rH, rW, 1).
        alpha: The alpha that was upscaled, (H, W, 1).

    Returns:
        (rH, rW, 1).
    """
    import cv2

    alpha = np.ascontiguousarray(alpha)
    block, scale = np.ones((3, 3), np.uint8), upscaled.shape[0] // alpha.shape[0]
    border = {"borderType": cv2.BORDER_REPLICATE}
    low, high = cv2.erode(alpha, block, **border), cv2.dilate(alpha, block, **border)
    low, high = (edge.reshape(alpha.shape[:2]).repeat(scale, 0).repeat(scale, 1) for edge in (low, high))
    return np.clip(upscaled[..., 0], low, high)[..., None]
