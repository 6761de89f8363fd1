"""Orthogonal real transforms along one axis, of any length, in O(n log n): each beside its inverse.

The Hadamard transform of a length that is no power of two is that of the signal with zeros after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_LARGEST_FACTOR = 16
"""A Hadamard matrix is a Kronecker product of ones of at most this size, which are applied as matrix products."""


def dct(signal: Tensor, axis: int) -> Tensor:
    """Compute the orthonormal DCT-II along an axis, from half of one Fourier transform (Makhoul 1980)."""
    values = signal.movedim(axis, -1)
    length = values.shape[-1]
    shuffled = torch.cat([values[..., ::2], values[..., 1::2].flip(-1)], dim=-1)
    spectrum = torch.fft.rfft(shuffled) * _turns(length, -1.0, values)
    upper = -spectrum.imag[..., 1 : (length + 1) // 2].flip(-1)
    return (torch.cat([spectrum.real, upper], dim=-1) * _weights(length, values)).movedim(-1, axis)


def inverse_dct(coefficients: Tensor, axis: int) -> Tensor:
    """Undo `dct`."""
    scaled = coefficients.movedim(axis, -1)
    length = scaled.shape[-1]
    scaled = scaled / _weights(length, scaled)
    half = length // 2 + 1
    mirrored = torch.cat([torch.zeros_like(scaled[..., :1]), scaled.flip(-1)[..., : half - 1]], dim=-1)
    spectrum = torch.complex(scaled[..., :half], -mirrored) * _turns(length, 1.0, scaled)
    shuffled = torch.fft.irfft(spectrum, n=length)
    even, odd = shuffled[..., : (length + 1) // 2], shuffled[..., (length + 1) // 2 :].flip(-1)
    pairs = torch.stack([even[..., : length // 2], odd], dim=-1).flatten(-2)
    return torch.cat([pairs, even[..., length // 2 :]], dim=-1).movedim(-1, axis)


def _turns(length: int, sign: float, like: Tensor) -> Tensor:
    """Return exp(±iπk/2n) for k = 0 … n/2."""
    angles = torch.arange(length // 2 + 1, device=like.device, dtype=like.dtype) * (sign * math.pi / (2 * length))
    return torch.complex(angles.cos(), angles.sin())


def _weights(length: int, like: Tensor) -> Tensor:
    """Return what makes the sums of a DCT-II orthonormal: √(1/n), then √(2/n)."""
    first = (torch.arange(length, device=like.device) == 0).to(like.dtype)
    return (2 - first).sqrt() / math.sqrt(length)


def dst(signal: Tensor, axis: int) -> Tensor:
    """Compute the orthonormal DST-II along an axis: the DCT-II of the signal with alternating signs, backwards."""
    return dct(_alternate(signal, axis), axis).flip(axis)


def inverse_dst(coefficients: Tensor, axis: int) -> Tensor:
    """Undo `dst`."""
    return _alternate(inverse_dct(coefficients.flip(axis), axis), axis)


def _alternate(signal: Tensor, axis: int) -> Tensor:
    signs = 1 - 2 * (torch.arange(signal.shape[axis], device=signal.device) % 2).to(signal.dtype)
    return (signal.movedim(axis, -1) * signs).movedim(-1, axis)


def hadamard(signal: Tensor, axis: int) -> Tensor:
    """Compute the orthonormal Walsh-Hadamard transform in natural order along an axis, 2^k long at the end."""
    values = signal.movedim(axis, -1)
    length = values.shape[-1]
    padded = 1 << (length - 1).bit_length()
    values = torch.nn.functional.pad(values, (0, padded - length))
    left = padded
    while left > 1:
        factor = min(left, _LARGEST_FACTOR)
        left //= factor
        rows = values.unflatten(-1, (padded // factor, factor)) @ hadamard_matrix(factor, values)
        values = rows.transpose(-1, -2).flatten(-2)
    return (values / math.sqrt(padded)).movedim(-1, axis)


def hadamard_matrix(size: int, like: Tensor) -> Tensor:
    """Return Sylvester's matrix of ±1, (size, size), size a power of two: −1 to the number of common bits."""
    index = torch.arange(size, device=like.device)
    common = index[:, None] & index
    parity = sum((common >> bit) & 1 for bit in range(size.bit_length())) if size > 1 else common
    return (1 - 2 * (torch.as_tensor(parity) % 2)).to(like.dtype)


def fft(signal: Tensor, axis: int) -> Tensor:
    """Compute the unitary Fourier transform along an axis, complex."""
    return torch.fft.fft(signal, dim=axis, norm="ortho")


def inverse_fft(coefficients: Tensor, axis: int) -> Tensor:
    """Undo `fft`, complex."""
    return torch.fft.ifft(coefficients, dim=axis, norm="ortho")


class Transform(NamedTuple):
    """A unitary transform along one axis and its inverse; each takes a tensor and the axis."""

    forward: Callable[[Tensor, int], Tensor]
    inverse: Callable[[Tensor, int], Tensor]


TRANSFORMS = {
    "dct": Transform(dct, inverse_dct),
    "dst": Transform(dst, inverse_dst),
    "hadamard": Transform(hadamard, hadamard),
    "fft": Transform(fft, inverse_fft),
}
