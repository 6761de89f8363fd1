"""Colour denoising measured: the protocols `colour-denoising-rgb` and `-8bit`, beside non-local means as a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lsm.data.degradations import add_noise, image_generator
from lsm.errors import OptionError
from lsm.image.io import read_rgb
from lsm.image.pixels import from_tensor
from lsm.inference.upscaler import Upscaler
from lsm.metrics import psnr, ssim

NLM_STRENGTHS: dict[int, tuple[float, float]] = {15: (7.5, 9.0), 25: (12.5, 15.0), 50: (25.0, 30.0)}
"""(h, hColor) of OpenCV's non-local means for each sigma, by PSNR on images of BSDS400; `tune_non_local_means`."""

METHODS = ("noisy", "non-local means", "LSM", "LSM, unclipped noise")
"""What is measured; all but the last get the noisy image in 8 bits."""


@dataclass(frozen=True)
class Score:
    """One result on one image at one sigma: PSNR in dB and SSIM, over R, G and B."""

    image_set: str
    image: str
    sigma: int
    method: str
    psnr: float
    ssim: float


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Clamp and round (H, W, 3) float with 1 for white to uint8."""
    return np.rint(image * 255).clip(0, 255).astype(np.uint8)


def non_local_means(image: np.ndarray, strengths: tuple[float, float]) -> np.ndarray:
    """Denoise by OpenCV's `fastNlMeansDenoisingColored`, with its usual patches of 7×7 searched in 21×21.

    Args:
        image: (H, W, 3) RGB, uint8.
        strengths: (h, hColor), for luma and for colour.
    """
    import cv2

    # It works on L*a*b* of BGR.
    return np.ascontiguousarray(
        cv2.fastNlMeansDenoisingColored(np.ascontiguousarray(image[..., ::-1]), None, *strengths, 7, 21)[..., ::-1]
    )


def noisy_images(image: np.ndarray, name: str, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Make the noisy images of both protocols, from the same noise.

    Args:
        image: (H, W, 3), uint8.
        name: Decides the noise.
        sigma: In steps of 8 bits.

    Returns:
        As it is, (H, W, 3) float32 with 1 for white, and in 8 bits.
    """
    noisy = add_noise(image, sigma, image_generator(name))
    return noisy, to_bytes(noisy)


def measure_denoising(
    image_set: str, files: Sequence[Path], sigmas: Sequence[int], upscaler: Upscaler
) -> Iterator[Score]:
    """Denoise images by all of `METHODS`.

    Args:
        image_set: The name of the set.
        files: Its clean images.
        sigmas: Each one of `NLM_STRENGTHS`.
        upscaler: Runs the network.

    Raises:
        OptionError: If non-local means has not been tuned for a sigma.
        InputError: If a file cannot be read.
    """
    for sigma in sigmas:
        if sigma not in NLM_STRENGTHS:
            known = ", ".join(map(str, NLM_STRENGTHS))
            raise OptionError(f"Non-local means is not tuned for sigma {sigma}, only for {known}.")
    for path in files:
        clean = read_rgb(path)
        for sigma in sigmas:
            noisy, file = noisy_images(clean, path.stem, sigma)
            unclipped = upscaler.upscale_tensor(torch.from_numpy(noisy).permute(2, 0, 1)[None])
            results = {
                "noisy": file,
                "non-local means": non_local_means(file, NLM_STRENGTHS[sigma]),
                "LSM": upscaler(file),
                "LSM, unclipped noise": from_tensor(unclipped[0], 3, np.dtype(np.uint8)),
            }
            for method, result in results.items():
                scores = psnr(result, clean, 0, "rgb"), ssim(result, clean, 0, "rgb")
                yield Score(image_set, path.stem, sigma, method, *scores)


def tune_non_local_means(
    files: Sequence[Path], sigma: int, factors: tuple[Sequence[float], Sequence[float]]
) -> Mapping[tuple[float, float], float]:
    """Measure non-local means over a grid of strengths, on training images.

    Args:
        files: Clean images.
        sigma: Of the noise.
        factors: h and hColor over sigma.

    Returns:
        The mean PSNR of each (h, hColor), in dB.
    """
    clean = {path.stem: read_rgb(path) for path in files}
    noisy = {name: noisy_images(image, name, sigma)[1] for name, image in clean.items()}
    grid = [(luma * sigma, colour * sigma) for luma in factors[0] for colour in factors[1]]
    return {
        pair: float(np.mean([psnr(non_local_means(noisy[name], pair), clean[name], 0, "rgb") for name in clean]))
        for pair in grid
    }
