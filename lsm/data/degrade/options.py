"""What may happen to an image and how often: Real-ESRGAN's option names, and traiNNer-redux's where it has none.

A name without a number is of the first round, one ending in 2 of the second, one ending in 3 of the last resizing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lsm.data.degrade.jpeg import Subsampling
from lsm.data.degrade.resizing import Mode
from lsm.errors import OptionError

KernelName = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"]
Range = tuple[float, float]

_KERNELS: tuple[KernelName, ...] = (
    "iso",
    "aniso",
    "generalized_iso",
    "generalized_aniso",
    "plateau_iso",
    "plateau_aniso",
)
_KERNEL_PROB = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
_MODES: tuple[Mode, ...] = ("bicubic", "lanczos", "area", "bilinear")
_MODE_PROB = (0.25, 0.25, 0.25, 0.25)


@dataclass(frozen=True)
class DegradationOptions:
    """The distribution of degradations; the defaults are Real-ESRGAN's where it has one.

    Attributes:
        clean_prob: Share of samples that are only shrunk, by MATLAB's bicubic.
        blur_prob: How often a round blurs.
        blur_kernel_size: Side of kernels at most, odd, in pixels of the image that is blurred: HR in the first round.
        kernel_list: Kernels to choose from, by `kernel_prob`.
        sinc_prob: Share of kernels that are a low-pass filter which rings, instead of one of the list.
        blur_sigma: Standard deviation, in the same pixels.
        betag_range: Exponents of the generalized kernels.
        betap_range: Exponents of the plateau kernels.
        resize_prob: How often the image grows, shrinks, and keeps its size.
        resize_range: Least and largest factor: of HR's size in the first round, of LR's in the second.
        resize_mode_list: Ways of resizing to choose from, by `resize_mode_prob`, see `lsm.data.degrade.resizing`.
        noise_prob: How often a round adds noise (always, in Real-ESRGAN).
        gaussian_noise_prob: Share of it that is Gaussian; the rest is Poisson's.
        noise_range: Standard deviation of Gaussian noise, in steps of 8 bits.
        poisson_scale_range: Strength of Poisson's noise, see `lsm.data.degrade.noise.Noise`.
        gray_noise_prob: Share of noise that is without colour.
        jpeg_prob: How often a round compresses.
        jpeg_range: Qualities.
        jpeg_subsampling_list: Subsampling of the colour to choose from, by `jpeg_subsampling_prob`, in both rounds.
        final_sinc_prob: How often the last resizing is followed by a low-pass filter which rings.
    """

    clean_prob: float = 0.0
    blur_prob: float = 1.0
    blur_kernel_size: int = 21
    kernel_list: tuple[KernelName, ...] = _KERNELS
    kernel_prob: tuple[float, ...] = _KERNEL_PROB
    sinc_prob: float = 0.1
    blur_sigma: Range = (0.2, 3.0)
    betag_range: Range = (0.5, 4.0)
    betap_range: Range = (1.0, 2.0)
    resize_prob: tuple[float, float, float] = (0.2, 0.7, 0.1)
    resize_range: Range = (0.15, 1.5)
    resize_mode_list: tuple[Mode, ...] = _MODES
    resize_mode_prob: tuple[float, ...] = _MODE_PROB
    noise_prob: float = 1.0
    gaussian_noise_prob: float = 0.5
    noise_range: Range = (1.0, 30.0)
    poisson_scale_range: Range = (0.05, 3.0)
    gray_noise_prob: float = 0.4
    jpeg_prob: float = 1.0
    jpeg_range: Range = (30.0, 95.0)
    jpeg_subsampling_list: tuple[Subsampling, ...] = ("4:2:0", "4:2:2", "4:4:4")
    jpeg_subsampling_prob: tuple[float, ...] = (0.6, 0.1, 0.3)
    blur_prob2: float = 0.8
    blur_kernel_size2: int = 21
    kernel_list2: tuple[KernelName, ...] = _KERNELS
    kernel_prob2: tuple[float, ...] = _KERNEL_PROB
    sinc_prob2: float = 0.1
    blur_sigma2: Range = (0.2, 1.5)
    betag_range2: Range = (0.5, 4.0)
    betap_range2: Range = (1.0, 2.0)
    resize_prob2: tuple[float, float, float] = (0.3, 0.4, 0.3)
    resize_range2: Range = (0.3, 1.2)
    resize_mode_list2: tuple[Mode, ...] = _MODES
    resize_mode_prob2: tuple[float, ...] = _MODE_PROB
    noise_prob2: float = 1.0
    gaussian_noise_prob2: float = 0.5
    noise_range2: Range = (1.0, 25.0)
    poisson_scale_range2: Range = (0.05, 2.5)
    gray_noise_prob2: float = 0.4
    jpeg_prob2: float = 1.0
    jpeg_range2: Range = (30.0, 95.0)
    resize_mode_list3: tuple[Mode, ...] = _MODES
    resize_mode_prob3: tuple[float, ...] = _MODE_PROB
    final_sinc_prob: float = 0.8

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            OptionError: If one is out of range, or a list and its probabilities are not equally long.
        """
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            stem = name.rstrip("23")
            if stem in _LOWEST:
                _check_range(name, value, *_LOWEST[stem])
            elif stem == "blur_kernel_size" and (value < 1 or value % 2 == 0):
                raise OptionError(f"{name} must be odd and positive, not {value}.")
            elif stem.endswith("_prob"):
                _check_probabilities(name, value)
            elif stem.endswith("_list"):
                chances = name.replace("_list", "_prob")
                if not value or len(value) != len(getattr(self, chances)):
                    raise OptionError(f"{name} and {chances} must be equally long.")

    def of_round(self, name: str, second: bool) -> Any:
        """Return an option of the first or of the second round by the name that it has in the first."""
        return getattr(self, f"{name}2" if second else name)


_LOWEST: dict[str, tuple[float, float]] = {
    "blur_sigma": (0.05, 20.0),
    "betag_range": (0.1, 10.0),
    "betap_range": (0.1, 10.0),
    "resize_range": (0.05, 4.0),
    "noise_range": (0.0, 255.0),
    "poisson_scale_range": (0.0, 10.0),
    "jpeg_range": (1.0, 100.0),
}
"""Between which two values the ranges may lie."""


def _check_range(name: str, value: Range, least: float, most: float) -> None:
    if not least <= value[0] <= value[1] <= most:
        raise OptionError(f"{name} must rise from at least {least:g} to at most {most:g}, not {list(value)}.")


def _check_probabilities(name: str, value: float | Sequence[float]) -> None:
    """Check one probability, or those of several choices."""
    if isinstance(value, Sequence):
        if min(value) < 0 or abs(sum(value) - 1) > 1e-3:
            raise OptionError(f"{name} must be positive and sum to 1, not {sum(value):g}.")
    elif not 0 <= value <= 1:
        raise OptionError(f"{name} must be a probability from 0 to 1, not {value:g}.")
