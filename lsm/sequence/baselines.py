"""The mixers over time that the LRU is compared with, each (B, T, C) → (B, T, C)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvMixer(nn.Module):
    """One convolution over time; it sees `dilation`·(kernel − 1) samples far.

    Args:
        channels: C.
        kernel: Taps, odd.
        dilation: Distance of the taps.
        causal: Whether it looks back only.
    """

    def __init__(self, channels: int, kernel: int = 3, dilation: int = 1, *, causal: bool = False) -> None:
        super().__init__()
        span = dilation * (kernel - 1)
        self.padding = (span, 0) if causal else (span // 2, span - span // 2)
        self.conv = nn.Conv1d(channels, channels, kernel, dilation=dilation)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens (B, T, C)."""
        return self.conv(F.pad(tokens.transpose(1, 2), self.padding)).transpose(1, 2)


class DilatedMixer(nn.Module):
    """Residual convolutions whose rates double: 1, 2, 4 …; they see 2^depth·(kernel − 1) samples far.

    Args:
        channels: C.
        depth: Convolutions.
        kernel: Taps of each.
        causal: Whether it looks back only.
    """

    def __init__(self, channels: int, depth: int = 4, kernel: int = 3, *, causal: bool = False) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ConvMixer(channels, kernel, 2**i, causal=causal) for i in range(depth))

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens (B, T, C)."""
        for conv in self.convs:
            tokens = tokens + F.silu(conv(tokens))
        return tokens


class AttentionMixer(nn.Module):
    """Residual self-attention over all time steps, with sinusoidal positions; quadratic in T.

    Args:
        channels: C.
        heads: Attention heads; the largest divisor of C up to this many is taken.
        causal: Whether a step attends to itself and earlier ones only.
    """

    def __init__(self, channels: int, heads: int = 4, *, causal: bool = False) -> None:
        super().__init__()
        self.heads = max(count for count in range(1, heads + 1) if channels % count == 0)
        self.causal = causal
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens (B, T, C)."""
        placed = self.norm(tokens) + positions(tokens.shape[1], tokens.shape[2]).to(tokens)
        query, key, value = self.qkv(placed).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return tokens + self.out_proj(mixed.transpose(1, 2).flatten(2))


def positions(length: int, channels: int) -> Tensor:
    """Return sinusoidal positions of periods from 2π to 20000π steps, (length, channels)."""
    index = torch.arange(channels)
    rates = torch.exp(-math.log(10000.0) * (index // 2 * 2) / channels)
    return torch.sin(torch.arange(length)[:, None] * rates + (index % 2) * (math.pi / 2))
