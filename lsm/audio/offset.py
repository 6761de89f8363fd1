"""A constant offset of a signal (DC), removed as it comes: networks trained without one are lost with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm.scan import linear_scan

_MEMORY = 32000  # samples after which a sample counts a third: 2 s at 16 kHz, far below all that is heard
_DOUBT = 400  # samples of zero that the mean begins with, lest the first sound be taken for an offset,
_BELIEF = 4  # and that fade so many times faster than the memory


@dataclass(frozen=True)
class OffsetState:
    """What is carried from block to block.

    Attributes:
        total: Decaying sum of the samples so far, (B, 1).
        count: How many there were.
    """

    total: Tensor
    count: int = 0


def remove_offset(samples: Tensor, state: OffsetState | None = None) -> tuple[Tensor, OffsetState]:
    """Subtract the running mean; blocks give the same numbers as the whole.

    s_k = d s_{k−1} + x_k,  w_k = d w_{k−1} + 1,  y_k = x_k − s_k / (w_k + n₀ d⁴ᵏ)

    Args:
        samples: (B, T), any T.
        state: After the block before; None at the beginning.

    Returns:
        (B, T), and the state after it.
    """
    state = state or OffsetState(samples.new_zeros(len(samples), 1))
    if samples.shape[1] == 0:
        return samples, state
    decay = 1 - 1 / _MEMORY
    total = linear_scan(samples.new_full((1,), decay), samples[..., None], state.total)
    first = state.count + 1
    steps = torch.arange(first, first + samples.shape[1], device=samples.device, dtype=torch.float32)
    faded = torch.exp(steps * math.log(decay))
    weight = (1 - faded) * _MEMORY + _DOUBT * faded**_BELIEF
    return samples - total[..., 0] / weight.to(samples.dtype), OffsetState(total[:, -1], state.count + samples.shape[1])
