"""What is done to pixels without a network: alpha, hidden colours, and a last step to another scale.

The resampling is Pillow's, in float: its antialiased bicubic has MATLAB's kernel, with other weights at the border.
"""

from __future__ import annotations

import numpy as np
from PIL import Image


def resized(pixels: np.ndarray, height: int, width: int, dtype: np.dtype) -> np.ndarray:
    """Resample by antialiased bicubic, channel by channel.

    Args:
        pixels: (H, W, C) uint8 or uint16.
        height: Of the result.
        width: Of the result.
        dtype: Integer type of the result; values are scaled to its range.

    Returns:
        (height, width, C), clipped and rounded.
    """
    peak = np.iinfo(dtype).max
    factor = np.float32(peak / np.iinfo(pixels.dtype).max)
    result = np.empty((height, width, pixels.shape[2]), dtype)
    for channel in range(pixels.shape[2]):
        plane = Image.fromarray(pixels[..., channel].astype(np.float32))
        values = np.array(plane.resize((width, height), Image.Resampling.BICUBIC))
        values *= factor
        result[..., channel] = np.rint(np.clip(values, 0, peak, out=values), out=values)
    return result


def fill_hidden_colours(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give wholly transparent pixels the colour of the nearest visible one.

    Their stored colour is arbitrary, often black, and would bleed into the edge of what is visible.

    Args:
        colour: (H, W, C).
        alpha: (H, W).

    Returns:
        (H, W, C); the input itself if nothing or everything is hidden.
    """
    hidden = alpha == 0
    if hidden.all() or not hidden.any():
        return colour
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros((int(labels.max()) + 1, colour.shape[2]), colour.dtype)
    nearest[labels[~hidden]] = colour[~hidden]
    return np.where(hidden[..., None], nearest[labels], colour)


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
