"""Self-ensemble: the mean of a network's results over the 8 flips and quarter turns of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def self_ensemble(network: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Average a network's results over the 8 flips and quarter turns of (1, 3, H, W), each turned back."""
    total: Tensor | None = None
    for turns in range(4):
        for flip in (False, True):
            turned = torch.rot90(image.flip(3) if flip else image, turns, (2, 3))
            result = torch.rot90(network(turned.contiguous()).float(), -turns, (2, 3))
            result = result.flip(3) if flip else result
            total = result if total is None else total + result
    assert total is not None
    return total / 8
