"""A frame of pixels around an image while a network works on it: convolutions see zeros beyond the edge, and err there.

Mirrored with the edge pixels included, a flat image stays flat, and a photo's edge is as good as its middle. Taken from
the other side, the result of a seamless texture is seamless too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def framed_indices(length: int, frame: int, wrap: bool) -> np.ndarray:
    """Return which pixel of a side stands where once it is framed, (length + 2 · frame,); short sides repeat.

    Args:
        length: Of the side, in pixels.
        frame: Pixels at each end.
        wrap: Whether they come from the other end, rather than mirrored from the same one, edge pixels included.
    """
    return np.pad(np.arange(length), frame, mode="wrap" if wrap else "symmetric")


def frame_pixels(pixels: np.ndarray, frame: int, wrap: bool) -> np.ndarray:
    """Frame an image (H, W, C): (H + 2 · frame, W + 2 · frame, C)."""
    if frame == 0:
        return pixels
    rows, columns = (framed_indices(length, frame, wrap) for length in pixels.shape[:2])
    return pixels[rows][:, columns]


def frame_tensor(image: Tensor, frame: int, wrap: bool) -> Tensor:
    """Frame images (B, C, H, W): (B, C, H + 2 · frame, W + 2 · frame)."""
    if frame == 0:
        return image
    for axis in (2, 3):
        indices = torch.from_numpy(framed_indices(image.shape[axis], frame, wrap)).to(image.device)
        image = image.index_select(axis, indices)
    return image


def crop_band(top: int, band: Tensor, frame: int, height: int) -> tuple[slice, Tensor]:
    """Cut the frame off a band of a result.

    Args:
        top: The band's first row, counted from the frame's.
        band: (C, h, W + 2 · frame).
        frame: Pixels of the result's frame.
        height: Of the result without it.

    Returns:
        Rows of the result, and what belongs there, (C, rows, W); both may be empty.
    """
    first = min(max(top, frame), frame + height)
    last = max(first, min(top + band.shape[1], frame + height))
    return slice(first - frame, last - frame), band[:, first - top : last - top, frame : band.shape[2] - frame]
