"""What a token mixer costs: counted, timed, and how both grow with the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lsm.mixers.base import LINEAR
from lsm.mixers.registry import build_mixer
from lsm.profiling.complexity import count_cost
from lsm.profiling.timing import shortest_time


@dataclass(frozen=True)
class MixerCost:
    """Cost of a mixer with its default options, of one image of each size.

    Attributes:
        name: Of the mixer.
        parameters: Learned numbers.
        macs: For each size, as `lsm.profiling.complexity` counts.
        seconds: For each size, the shortest of a few runs without gradients.
        growth: By formula: how the cost grows with the number n of tokens, "n" or "n log n".
        linear: Whether that is "n".
        time_ratio: Measured: time of a token at the last size over that at the first; 1 is linear growth.
    """

    name: str
    parameters: int
    macs: tuple[int, ...]
    seconds: tuple[float, ...]
    growth: str
    linear: bool
    time_ratio: float


def mixer_cost(name: str, dim: int, sides: Sequence[int], device: torch.device) -> MixerCost:
    """Count and time a mixer.

    Args:
        name: One of `lsm.mixers.registry.mixer_names`.
        dim: C.
        sides: Of the square images.
        device: Where it is timed.

    Raises:
        OptionError: On an unknown name.
    """
    mixer = build_mixer(name, dim).eval().to(device)
    counts = [count_cost(mixer, torch.empty(1, side**2, dim, device="meta"), (side, side)) for side in sides]
    seconds = tuple(_time(mixer, dim, side, device) for side in sides)
    growth = mixer.properties.complexity
    return MixerCost(
        name,
        counts[0].parameters,
        tuple(count.macs for count in counts),
        seconds,
        growth,
        growth == LINEAR,
        seconds[-1] / sides[-1] ** 2 / (seconds[0] / sides[0] ** 2),
    )


@torch.inference_mode()
def _time(mixer: nn.Module, dim: int, side: int, device: torch.device) -> float:
    """Measure one image of random tokens, in seconds."""
    tokens = torch.randn(1, side**2, dim, device=device)
    return shortest_time(lambda: mixer(tokens, (side, side)), device)
