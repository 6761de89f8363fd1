"""Fourier spectra of real signals (B, …, C): truncated to the lowest modes, resampled, and multiplied as real pairs.

The last of the transformed axes holds the frequencies 0 … n/2, the others all, in the order of the transform.
"""

from __future__ import annotations

import torch
from torch import Tensor

Sizes = tuple[int, ...]
"""Lengths of the axes between batch and channels: (H, W), or (T,)."""


def as_complex(pair: Tensor) -> Tensor:
    """View real pairs (…, 2) as complex numbers (…)."""
    return torch.complex(*pair.unbind(-1))


def side_by_side(spectrum: Tensor) -> Tensor:
    """Lay complex numbers (…, C) out as real parts, then imaginary parts: (…, 2C)."""
    return torch.cat([spectrum.real, spectrum.imag], dim=-1)


def from_side_by_side(planes: Tensor) -> Tensor:
    """Undo `side_by_side`: (…, 2C) real → (…, C) complex."""
    return torch.complex(*planes.chunk(2, dim=-1))


def pair_matrix(weight: Tensor) -> Tensor:
    """Write a complex matrix as the real one that maps side-by-side vectors: (…, I, O, 2) → (…, 2I, 2O)."""
    re, im = weight.unbind(-1)
    return torch.cat([torch.cat([re, im], dim=-1), torch.cat([-im, re], dim=-1)], dim=-2)


def resample(weight: Tensor, trained: Sizes, sizes: Sizes) -> Tensor:
    """Interpolate a filter over frequencies linearly to another size; the same size gives it back as it is.

    A frequency is in cycles a sample, so that a filter passes the same patterns at any size.

    Args:
        weight: (f_1, …, f_k, …) over the frequencies of signals of the sizes `trained`.
        trained: The sizes the filter was made for.
        sizes: The sizes wanted.

    Returns:
        The filter over the frequencies of `sizes`.
    """
    for axis, (old, new) in enumerate(zip(trained, sizes, strict=True)):
        if old == new:
            continue
        last = axis == len(sizes) - 1
        steps = torch.arange(new // 2 + 1 if last else new, device=weight.device) * old
        lower = torch.div(steps, new, rounding_mode="floor")
        upper = (lower + 1).clamp(max=old // 2) if last else (lower + 1) % old
        share = ((steps - lower * new) / new).to(weight.dtype).view(-1, *[1] * (weight.ndim - axis - 1))
        lower = lower.clamp(max=old // 2) if last else lower
        below, above = weight.index_select(axis, lower), weight.index_select(axis, upper)
        weight = below + (above - below) * share
    return weight


def mode_counts(modes: int, size: int, *, last: bool) -> tuple[int, int]:
    """Count the lowest frequencies of an axis that a signal has: 0 and above, and below 0.

    Args:
        modes: m: frequencies 0 … m−1 of the last axis, −m … m−1 of the others.
        size: n.
        last: Whether this is the last of the transformed axes.
    """
    return (min(modes, size // 2 + 1), 0) if last else (min(modes, (size + 1) // 2), min(modes, size // 2))


def lowest_modes(signal: Tensor, modes: Sizes) -> Tensor:
    """Transform a signal (B, n_1, …, n_k, C) and keep its lowest frequencies: (B, m_1', …, m_k', C) complex.

    The transform has norm "forward": coefficients are amplitudes, whatever the size.
    """
    spectrum = torch.fft.rfft(signal, dim=signal.ndim - 2, norm="forward")
    for axis in reversed(range(1, signal.ndim - 1)):
        last = axis == signal.ndim - 2
        if not last:
            spectrum = torch.fft.fft(spectrum, dim=axis, norm="forward")
        low, high = mode_counts(modes[axis - 1], signal.shape[axis], last=last)
        if low + high < spectrum.shape[axis]:
            parts = [spectrum.narrow(axis, 0, low)]
            if high:
                parts.append(spectrum.narrow(axis, spectrum.shape[axis] - high, high))
            spectrum = torch.cat(parts, dim=axis)
    return spectrum


def from_modes(spectrum: Tensor, sizes: Sizes) -> Tensor:
    """Undo `lowest_modes`, all other frequencies being zero: (B, m_1', …, m_k', C) complex → (B, n_1, …, n_k, C)."""
    for axis, size in enumerate(sizes[:-1], start=1):
        # Where some are left out there are as many negative frequencies as others.
        spectrum = _insert_zeros(spectrum, axis, spectrum.shape[axis] // 2, size)
        spectrum = torch.fft.ifft(spectrum, dim=axis, norm="forward")
    last = len(sizes)
    spectrum = _insert_zeros(spectrum, last, spectrum.shape[last], sizes[-1] // 2 + 1)
    return torch.fft.irfft(spectrum, n=sizes[-1], dim=last, norm="forward")


def _insert_zeros(spectrum: Tensor, axis: int, place: int, size: int) -> Tensor:
    """Make a complex tensor `size` long along an axis, by zeros from a place on."""
    kept = spectrum.shape[axis]
    if kept == size:
        return spectrum
    shape = list(spectrum.shape)
    shape[axis] = size - kept
    zeros = torch.zeros(shape, dtype=spectrum.real.dtype, device=spectrum.device)
    parts = [spectrum.narrow(axis, 0, place), torch.complex(zeros, zeros)]
    if place < kept:
        parts.append(spectrum.narrow(axis, place, kept - place))
    return torch.cat(parts, dim=axis)
