"""Orthogonal wavelets of Daubechies, and the transform by them along an axis, periodic and of any length.

Taps come from the roots of a polynomial (Daubechies 1992, §6.1 and §8.1.1), not from tables. An odd length is made even
by repeating its last sample, so that every size comes back exactly; at even lengths the transform is orthonormal.
"""

from __future__ import annotations

import itertools
import math
import re
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lsm.errors import OptionError

MOST_MOMENTS = 20

SYMLET_CHOICES = {
    **{2: 0, 3: 0, 4: 2, 5: 1, 6: 5, 7: 1, 8: 10, 9: 6, 10: 21, 11: 6, 12: 21, 13: 28, 14: 44},
    **{15: 28, 16: 89, 17: 142, 18: 333, 19: 116, 20: 357},
}
"""Which groups of roots the symlets in common use take from outside the circle, a bit each, by vanishing moments."""


@lru_cache(maxsize=64)
def wavelet_taps(name: str) -> tuple[float, ...]:
    """Return the low-pass taps h of a wavelet: 2·N of them, of sum √2 and norm 1.

    Args:
        name: "haar", "db1" … "db20" (the extremal phase) or "sym2" … "sym20" (the least asymmetric).

    Raises:
        OptionError: On another name.
    """
    found = re.fullmatch(r"(db|sym)(\d+)", "db1" if name == "haar" else name)
    if not found or not (1 if found[1] == "db" else 2) <= int(found[2]) <= MOST_MOMENTS:
        raise OptionError(f"Unknown wavelet {name!r}. Known: haar, db1 to db20, sym2 to sym20.")
    moments = int(found[2])
    groups, outside = _root_groups(moments), SYMLET_CHOICES[moments] if found[1] == "sym" else 0
    return tuple(_from_roots(moments, [group[outside >> bit & 1] for bit, group in enumerate(groups)]))


def _root_groups(moments: int) -> list[tuple[list[complex], list[complex]]]:
    """List the factors of |m₀|²: for each real root or pair of conjugates those inside and outside the circle.

    They are in the order of their size, then of their real parts.
    """
    polynomial = [math.comb(moments - 1 + k, k) for k in reversed(range(moments))]
    groups = []
    for y in np.roots(polynomial):
        if y.imag < -1e-9:
            continue  # comes with its conjugate
        middle = 1 - 2 * y
        inside = min((middle + s * np.sqrt(middle**2 - 1 + 0j) for s in (1, -1)), key=abs)
        real = abs(y.imag) < 1e-9
        inner = [inside] if real else [inside, inside.conjugate()]
        groups.append((inner, [1 / z.conjugate() for z in inner]))
    return sorted(groups, key=lambda group: (abs(group[0][0]), group[0][0].real))


def _from_roots(moments: int, roots: list[list[complex]]) -> np.ndarray:
    """Multiply ((1 + z)/2)^N by the factors of chosen roots; the sum of the taps is √2."""
    taps = np.ones(1, dtype=complex)
    for _ in range(moments):
        taps = np.convolve(taps, [0.5, 0.5])
    for root in itertools.chain.from_iterable(roots):
        taps = np.convolve(taps, np.array([1, -root]) / (1 - root))
    return taps.real * math.sqrt(2)


def filter_pair(name: str, like: Tensor) -> Tensor:
    """Return the low-pass and high-pass taps of a wavelet, (2, F): g_k = (−1)^k h_{F−1−k}."""
    low = torch.tensor(wavelet_taps(name), dtype=torch.float64)
    signs = 1 - 2 * (torch.arange(len(low), dtype=torch.float64) % 2)
    return torch.stack([low, signs * low.flip(0)]).to(like)


def analyse(signal: Tensor, pair: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Split a signal into approximation and detail, a_k = Σ_j h_j x_{2k+j−s}, d_k = Σ_j g_j x_{2k+j−s}, s = F/2 − 1.

    Args:
        signal: (B, …, C), n ≥ 1 long along the axis.
        pair: (2, F), from `filter_pair`.
        axis: Neither the first nor the last.

    Returns:
        Two tensors, ⌈n/2⌉ long along the axis.
    """
    lines, shape = _as_lines(signal, axis)
    length, taps = lines.shape[-1], pair.shape[1]
    if length % 2:
        lines, length = torch.cat([lines, lines[..., -1:]], dim=-1), length + 1
    around = (torch.arange(length + taps - 2, device=lines.device) - (taps // 2 - 1)) % length
    channels = lines.shape[1]
    weight = pair[:, None].repeat(channels, 1, 1)
    parts = F.conv1d(lines.index_select(-1, around), weight, stride=2, groups=channels).unflatten(1, (channels, 2))
    low, high = (_from_lines(part, shape, axis) for part in parts.unbind(2))
    return low, high


def synthesise(low: Tensor, high: Tensor, pair: Tensor, axis: int, length: int) -> Tensor:
    """Undo `analyse` for a signal that was `length` long along the axis."""
    parts = [_as_lines(part, axis) for part in (low, high)]
    lines = torch.stack([part for part, _ in parts], dim=2).flatten(1, 2)
    count, taps = lines.shape[-1], pair.shape[1]
    channels = lines.shape[1] // 2
    margin = taps // 2
    around = torch.arange(-margin, count + margin, device=lines.device) % count
    weight = pair[:, None].repeat(channels, 1, 1)
    whole = F.conv_transpose1d(lines.index_select(-1, around), weight, stride=2, groups=channels)
    start = 2 * margin + taps // 2 - 1
    return _from_lines(whole[..., start : start + length], parts[0][1], axis)


def _as_lines(signal: Tensor, axis: int) -> tuple[Tensor, torch.Size]:
    """Move an axis to the end and the channels before it: (B, …, C) → (B·…, C, n), and the shape in between."""
    moved = signal.movedim((-1, axis), (-2, -1))
    return moved.flatten(0, -3), moved.shape[:-2]


def _from_lines(lines: Tensor, shape: torch.Size, axis: int) -> Tensor:
    """Undo `_as_lines`."""
    return lines.unflatten(0, shape).movedim((-2, -1), (-1, axis))
