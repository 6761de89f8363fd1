"""What is to be done to one image, drawn at random: values to look at and to test, before any pixel is touched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from lsm.data.degrade.jpeg import ENCODERS, Jpeg
from lsm.data.degrade.kernels import Kernel, Shape
from lsm.data.degrade.noise import Noise
from lsm.data.degrade.options import DegradationOptions, Range
from lsm.data.degrade.resizing import Mode

Choice = TypeVar("Choice")

_SHAPES: dict[str, Shape] = {"generalized": "generalized", "plateau": "plateau"}


@dataclass(frozen=True)
class Round:
    """One round; what is none is left out.

    Attributes:
        blur: The kernel.
        mode: How the image is resized.
        factor: By how much: of HR's size in the first round, of LR's in the second.
        noise: The noise.
        jpeg: The compression.
    """

    blur: Kernel | None
    mode: Mode
    factor: float
    noise: Noise | None
    jpeg: Jpeg | None


@dataclass(frozen=True)
class Plan:
    """All that is done to an image.

    Attributes:
        rounds: Two rounds; none for a clean pair.
        mode: Of the last resizing.
        sinc: The filter after it.
        jpeg_last: Whether the second round's JPEG comes after the last resizing and the filter, or before.
    """

    rounds: tuple[Round, ...] = ()
    mode: Mode = "bicubic"
    sinc: Kernel | None = None
    jpeg_last: bool = True

    def describe(self) -> str:
        """Return in a few words what is done, such as "bilinear σ 4.2 q 63"."""
        parts: list[str] = []
        for each in self.rounds:
            if each.blur:
                parts.append(f"{each.blur.shape} {each.blur.sigma_x:.1f}")
            parts.append(f"{each.mode} {each.factor:.2f}" if each.factor != 1 else each.mode)
            if each.noise:
                parts.append(f"{'σ' if each.noise.kind == 'gaussian' else 'poisson'} {each.noise.strength:.1f}")
            if each.jpeg:
                parts.append(f"q {each.jpeg.quality}")
        return " ".join(parts) or "clean"


def draw(options: DegradationOptions, generator: np.random.Generator) -> Plan:
    """Draw a plan.

    Args:
        options: The distribution.
        generator: Where the choices come from.
    """
    if generator.random() < options.clean_prob:
        return Plan()
    rounds = (_draw_round(options, False, generator), _draw_round(options, True, generator))
    mode = _choose(options.resize_mode_list3, options.resize_mode_prob3, generator)
    rings = generator.random() < options.final_sinc_prob
    sinc = _sinc(options.blur_kernel_size2, generator) if rings else None
    return Plan(rounds, mode, sinc, jpeg_last=bool(generator.random() < 0.5))


def _draw_round(options: DegradationOptions, second: bool, generator: np.random.Generator) -> Round:
    """Draw the first or the second round."""

    def option(name: str) -> Any:
        return options.of_round(name, second)

    blurs = generator.random() < option("blur_prob")
    kernel = _kernel(options, second, generator) if blurs else None
    direction = _choose((1, -1, 0), option("resize_prob"), generator)
    factor = _factor(direction, option("resize_range"), generator)
    mode = _choose(option("resize_mode_list"), option("resize_mode_prob"), generator)
    noise = None
    if generator.random() < option("noise_prob"):
        gaussian = bool(generator.random() < option("gaussian_noise_prob"))
        strength = generator.uniform(*option("noise_range" if gaussian else "poisson_scale_range"))
        grey = bool(generator.random() < option("gray_noise_prob"))
        noise = Noise("gaussian" if gaussian else "poisson", float(strength), grey)
    jpeg = None
    if generator.random() < option("jpeg_prob"):
        least, most = option("jpeg_range")
        quality = int(generator.integers(round(least), round(most), endpoint=True))
        sampling = _choose(options.jpeg_subsampling_list, options.jpeg_subsampling_prob, generator)
        jpeg = Jpeg(quality, sampling, _choose(ENCODERS, (0.5, 0.5), generator))
    return Round(kernel, mode, factor, noise, jpeg)


def _kernel(options: DegradationOptions, second: bool, generator: np.random.Generator) -> Kernel:
    """Draw a kernel of blur."""
    size = options.of_round("blur_kernel_size", second)
    if generator.random() < options.of_round("sinc_prob", second):
        return _sinc(size, generator)
    name = _choose(options.of_round("kernel_list", second), options.of_round("kernel_prob", second), generator)
    first, _, last = name.rpartition("_")
    shape = _SHAPES.get(first, "gaussian")
    sigma = options.of_round("blur_sigma", second)
    beta = 1.0
    if shape != "gaussian":
        beta = _exponent(
            options.of_round("betag_range" if shape == "generalized" else "betap_range", second), generator
        )
    if last == "iso":
        return Kernel(shape, size, float(generator.uniform(sigma[0], sigma[1])), None, 0.0, beta)
    sides = generator.uniform(sigma[0], sigma[1], size=2)
    return Kernel(shape, size, float(sides[0]), float(sides[1]), float(generator.uniform(-math.pi, math.pi)), beta)


def _sinc(size: int, generator: np.random.Generator) -> Kernel:
    """Draw a low-pass filter: small ones ring close to an edge, so their cutoff may be lower (Real-ESRGAN)."""
    side = int(generator.integers(3, max(3, size // 2), endpoint=True)) * 2 + 1
    least = math.pi / 3 if side < 13 else math.pi / 5
    return Kernel("sinc", min(side, size), float(generator.uniform(least, math.pi)))


def _exponent(bounds: Range, generator: np.random.Generator) -> float:
    """Draw an exponent, half of them below 1 where the range holds 1, as flat and peaked kernels are equally likely."""
    least, most = bounds
    if not least < 1 < most:
        return float(generator.uniform(least, most))
    return float(generator.uniform(least, 1) if generator.random() < 0.5 else generator.uniform(1, most))


def _factor(direction: int, bounds: Range, generator: np.random.Generator) -> float:
    """Draw a factor above 1, below 1, or 1, within bounds."""
    if direction == 0:
        return 1.0
    least, most = (max(1.0, bounds[0]), max(1.0, bounds[1])) if direction > 0 else (min(1.0, b) for b in bounds)
    return float(generator.uniform(least, most))


def _choose(choices: Sequence[Choice], chances: Sequence[float], generator: np.random.Generator) -> Choice:
    """Choose one; unlike `Generator.choice` in a microsecond, and chances may miss 1 by rounding."""
    point, total = generator.random() * sum(chances), 0.0
    for choice, chance in zip(choices, chances, strict=True):
        total += chance
        if point < total:
            return choice
    return choices[-1]
