"""Noise of sensors: white Gaussian, and Poisson's, which grows with the light; both also without colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of BT.601, as JPEG has it
PHOTONS = 255
"""What white counts, in Poisson's noise of strength 1."""


@dataclass(frozen=True)
class Noise:
    """Noise of a kind.

    Attributes:
        kind: "gaussian" or "poisson".
        strength: Of Gaussian noise the standard deviation in steps of 8 bits; of Poisson's a factor on its deviation
            at `PHOTONS` for white, which is the square root of the light: 16 steps at white for a strength of 1.
        grey: Whether all channels get the same.
    """

    kind: Literal["gaussian", "poisson"]
    strength: float
    grey: bool = False


def add_noise(image: np.ndarray, noise: Noise, generator: np.random.Generator) -> np.ndarray:
    """Add noise.

    Args:
        image: (H, W, C) float32, 1 for white.
        noise: Which.
        generator: Where it comes from.

    Returns:
        (H, W, C) float32, clamped to [0, 1].
    """
    if noise.kind == "gaussian":
        shape = (*image.shape[:2], 1 if noise.grey else image.shape[2])
        added = generator.standard_normal(shape, dtype=np.float32) * np.float32(noise.strength / 255)
    else:
        light = image @ _LUMA[:, None] if noise.grey and image.shape[2] == 3 else image
        light = light.clip(0, 1)
        counted = generator.poisson(light * PHOTONS).astype(np.float32) / np.float32(PHOTONS)
        added = (counted - light) * np.float32(noise.strength)
    return (image + added).clip(0, 1)
