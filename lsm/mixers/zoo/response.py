"""What a filter does to each frequency: magnitude, phase, group delay, and its energy by band."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lsm.mixers.zoo.spectrum import Sizes

BANDS = 8


class FrequencyResponse(NamedTuple):
    """A filter over its frequencies (f_1, …, f_k), for each of its channels."""

    magnitude: Tensor
    """|H|, (f_1, …, f_k, C)."""
    phase: Tensor
    """arg H in (−π, π], (f_1, …, f_k, C)."""
    group_delay: Tensor
    """−∂φ/∂ω along each axis in samples, (k, f_1, …, f_k, C); positive towards larger positions, NaN where H is 0."""
    band_energy: Tensor
    """Share of the energy in `BANDS` equal bands of |f| from 0 to its largest value, (BANDS, C); the sum is 1."""


def frequency_response(factors: Tensor, sizes: Sizes) -> FrequencyResponse:
    """Describe a filter of real signals.

    The group delay is Re(F(n h)/F(h)), n the position of each tap of the kernel h, from −n/2 on: exact, without a phase
    to unwrap.

    Args:
        factors: H, (f_1, …, f_k, C) complex: all frequencies of the first axes, half of those of the last.
        sizes: (n_1, …, n_k), of the signals.
    """
    axes = tuple(range(len(sizes)))
    kernel = torch.fft.irfftn(factors, s=sizes, dim=axes)
    actual = torch.fft.rfftn(kernel, dim=axes)  # what of H a real signal can meet
    delays = []
    for axis, size in enumerate(sizes):
        positions = torch.fft.fftfreq(size, 1 / size, device=kernel.device).round().to(kernel.dtype)
        moments = kernel * positions.view(-1, *[1] * (kernel.ndim - axis - 1))
        delays.append((torch.fft.rfftn(moments, dim=axes) / actual).real)
    whole = torch.fft.fftn(kernel, dim=axes).abs().square().flatten(0, -2)
    return FrequencyResponse(actual.abs(), actual.angle(), torch.stack(delays), _by_band(whole, sizes))


def _by_band(energy: Tensor, sizes: Sizes) -> Tensor:
    """Sum energies (n_1·…·n_k, C) of all frequencies by bands of |f|, and divide by the total."""
    radius = torch.zeros(1)
    for size in sizes:
        radius = (radius[:, None].square() + torch.fft.fftfreq(size).square()).sqrt().flatten()
    largest = 0.5 * math.sqrt(len(sizes))
    band = (radius / largest * BANDS).long().clamp(max=BANDS - 1).to(energy.device)
    return energy.new_zeros(BANDS, energy.shape[1]).index_add(0, band, energy) / energy.sum(0)
