"""A plan carried out: an HR image, degraded and shrunk to LR (Real-ESRGAN, arXiv:2107.10833, section 3)."""

from __future__ import annotations

import numpy as np

from lsm.data.degrade.jpeg import compress
from lsm.data.degrade.kernels import blur
from lsm.data.degrade.noise import add_noise
from lsm.data.degrade.plan import Plan
from lsm.data.degrade.resizing import resize


def degrade(image: np.ndarray, plan: Plan, scale: int, generator: np.random.Generator) -> np.ndarray:
    """Degrade an image.

    The second round works at about LR's size; where its factor is 1, the last resizing has nothing left to do, and
    noise and JPEG of that round stay as they are.

    Args:
        image: (scale · H, scale · W, 3), uint8.
        plan: What to do.
        scale: Of LR.
        generator: Where the noise comes from.

    Returns:
        (H, W, 3), uint8.
    """
    height, width = image.shape[0] // scale, image.shape[1] // scale
    pixels = image.astype(np.float32) / np.float32(255)
    for number, each in enumerate(plan.rounds):
        if each.blur:
            pixels = blur(pixels, each.blur)
        rows, columns = (height, width) if number else image.shape[:2]
        pixels = resize(pixels, _length(rows, each.factor), _length(columns, each.factor), each.mode)
        if each.noise:
            pixels = add_noise(pixels, each.noise, generator)
        if each.jpeg and number + 1 < len(plan.rounds):
            pixels = compress(pixels, each.jpeg)
    last = plan.rounds[-1].jpeg if plan.rounds else None
    if last and not plan.jpeg_last:
        pixels = compress(pixels, last)
    pixels = resize(pixels, height, width, plan.mode)
    if plan.sinc:
        pixels = blur(pixels, plan.sinc)
    if last and plan.jpeg_last:
        pixels = compress(pixels, last)
    return np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)


def _length(length: int, factor: float) -> int:
    return max(1, round(length * factor))
