"""Kernels of blur: Gaussian, generalized Gaussian, plateau-shaped, and the circular low-pass filter that rings.

The families are those of Real-ESRGAN (arXiv:2107.10833, section 3.1 and 3.4). All are symmetric about the middle pixel,
so that none shifts the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

Shape = Literal["gaussian", "generalized", "plateau", "sinc"]

_ANGLES = 64
"""Points of the integral that gives the Bessel function; exact to rounding for the arguments that occur."""


@dataclass(frozen=True)
class Kernel:
    """A kernel of blur.

    Attributes:
        shape: Its family.
        size: Its side at most, odd.
        sigma_x: Standard deviation along its first axis, in pixels; of "sinc" the cutoff, in radians a pixel.
        sigma_y: The same along the other axis; none for an isotropic kernel.
        angle: From the image's x axis to the kernel's first, in radians.
        beta: The exponent of "generalized" and "plateau"; 1 is a Gaussian in the one, a Cauchy-like hill in the other.
    """

    shape: Shape
    size: int
    sigma_x: float
    sigma_y: float | None = None
    angle: float = 0.0
    beta: float = 1.0

    @property
    def radius(self) -> int:
        """Pixels from the middle to the edge: four standard deviations, if the size allows that many."""
        if self.shape == "sinc":
            return self.size // 2
        return min(self.size // 2, math.ceil(4 * max(self.sigma_x, self.sigma_y or 0)))

    def weights(self) -> np.ndarray:
        """Return the kernel as (2·radius + 1, 2·radius + 1) float64; its sum is 1."""
        y, x = np.mgrid[-self.radius : self.radius + 1, -self.radius : self.radius + 1].astype(np.float64)
        if self.shape == "sinc":
            values = low_pass(np.hypot(x, y), self.sigma_x)
        else:
            along = (x * math.cos(self.angle) + y * math.sin(self.angle)) / self.sigma_x
            across = (y * math.cos(self.angle) - x * math.sin(self.angle)) / (self.sigma_y or self.sigma_x)
            square = along**2 + across**2
            if self.shape == "plateau":
                values = 1 / (1 + square**self.beta)
            else:
                values = np.exp(-0.5 * square ** (self.beta if self.shape == "generalized" else 1.0))
        return values / values.sum()


def low_pass(distance: np.ndarray, cutoff: float) -> np.ndarray:
    """Evaluate the circular low-pass filter, cutoff · J₁(cutoff · r) / (2π r), whose cut-off edges ring.

    Args:
        distance: r, in pixels, any shape.
        cutoff: In radians a pixel, up to π.
    """
    safe = np.where(distance == 0, 1.0, distance)
    angle = (np.arange(_ANGLES) + 0.5) * np.pi / _ANGLES
    argument = cutoff * safe[..., None]
    bessel = np.cos(angle - argument * np.sin(angle)).mean(axis=-1)
    return np.where(distance == 0, cutoff**2 / (4 * np.pi), cutoff * bessel / (2 * np.pi * safe))


def blur(image: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Filter an image (H, W, C), float32; beyond its edges it is mirrored, the edge pixels included."""
    if kernel.radius == 0:
        return image
    if kernel.shape == "gaussian" and kernel.sigma_y is None:
        offsets = np.arange(-kernel.radius, kernel.radius + 1)
        line = np.exp(-0.5 * (offsets / kernel.sigma_x) ** 2)
        line /= line.sum()
        return cv2.sepFilter2D(image, -1, line, line, borderType=cv2.BORDER_REFLECT)
    return cv2.filter2D(image, -1, kernel.weights(), borderType=cv2.BORDER_REFLECT)
