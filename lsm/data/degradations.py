"""What restoration undoes: Gaussian noise and JPEG compression, as pure functions of an image and a generator."""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image

from lsm.metrics import rgb_to_y

_NOISE = 3
"""The first entry of the seeds: what the random numbers are for, so that no two uses share a stream."""


def image_generator(name: str, seed: int = 0) -> np.random.Generator:
    """Return the random numbers of one image, whatever other images there are and in which order they come.

    Args:
        name: The image's name.
        seed: Another one gives other numbers.
    """
    return np.random.default_rng([_NOISE, seed, zlib.crc32(name.encode("utf-8", "surrogateescape"))])


def add_noise(
    image: np.ndarray, sigma: float, generator: np.random.Generator, *, grey: bool = False, clipped: bool = False
) -> np.ndarray:
    """Add white Gaussian noise.

    Args:
        image: (H, W, 3), uint8.
        sigma: Standard deviation, in steps of 8 bits.
        generator: Where the noise comes from.
        grey: Whether all three channels get the same noise, as a grey image has it.
        clipped: Whether the result is clamped and rounded, as an 8-bit file holds it; else it is left as it is, as the
            literature measures.

    Returns:
        (H, W, 3) float32, 1 for white.
    """
    shape = (*image.shape[:2], 1 if grey else image.shape[2])
    noisy = image + np.float32(sigma) * generator.standard_normal(shape, dtype=np.float32)
    if clipped:
        noisy = np.rint(noisy).clip(0, 255)
    return noisy.astype(np.float32) / np.float32(255)


def compress(image: np.ndarray, quality: int, *, grey: bool = False) -> np.ndarray:
    """Compress and decompress by Pillow's JPEG, with its default subsampling of colour (4:2:0).

    Args:
        image: (H, W, 3), uint8.
        quality: libjpeg's, 1 to 100.
        grey: Whether it is compressed as a grey image, which its channels must be.

    Returns:
        (H, W, 3), uint8.
    """
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if grey else image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer).convert("RGB"))


def to_grey(image: np.ndarray) -> np.ndarray:
    """Turn an image (H, W, 3), uint8, into the grey one of the literature: its Y of BT.601, rounded, three times."""
    return np.repeat(np.rint(rgb_to_y(image)).astype(np.uint8)[..., None], 3, axis=2)
