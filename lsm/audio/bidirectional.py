"""The denoiser of whole signals: the causal one run forwards and backwards in time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lsm.audio.streaming import StreamingDenoiser


class BidirectionalDenoiser(nn.Module):
    """Denoiser of one channel that looks ahead: (B, 1, T) → (B, 1, T), any T at least 1.

    One `StreamingDenoiser`, with the same weights both ways, takes the signal and the signal reversed; the result is
    the mean of the two. At a tone's beginning the one that comes from behind knows the tone already, and of the noise
    that each lets through a part is its own.

    Args:
        **settings: Of `StreamingDenoiser`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.one_way = StreamingDenoiser(**settings)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments."""
        return self.one_way.settings

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise signals (B, 1, T)."""
        forwards, backwards = self.one_way(torch.cat([noisy, noisy.flip(-1)])).chunk(2)
        return 0.5 * (forwards + backwards.flip(-1))
