"""SMU, the semantic modulating unit: how alike each token is to each prototype of a learned dictionary (paper §3.3)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Semantics(NamedTuple):
    """What the unit says of each token."""

    scores: Tensor
    """S, (B, L, T): scaled cosine similarity to the T prototypes."""
    modulation: Tensor
    """M = softmax(S), (B, L, T): its quarters modulate λ, B, Re C and Im C."""
    enhancement: Tensor | None
    """M·V, (B, L, C//2): a mixture of learned values; None for a unit without them."""


class SemanticModulation(nn.Module):
    """Compare tokens with a dictionary D of T prototypes.

    Q = W_q U, K = W_k D, V = W_v D;  S = cos(Q, K)·(1 + clamp(s, 0, 1)·ln T);  M = softmax(S).

    Args:
        dim: C.
        num_tokens: T.
        enhance: Whether there are values V, and so an enhancement.
    """

    def __init__(self, dim: int, num_tokens: int, enhance: bool = True) -> None:
        super().__init__()
        self.dictionary = nn.Parameter(torch.empty(num_tokens, dim).uniform_(-1 / num_tokens, 1 / num_tokens))
        self.scale = nn.Parameter(torch.full((num_tokens,), 0.5))
        self.query = nn.Linear(dim, dim // 3)
        self.key = nn.Linear(dim, dim // 3)
        self.value = nn.Linear(dim, dim // 2) if enhance else None

    def forward(self, tokens: Tensor) -> Semantics:
        """Describe tokens (B, L, C) by their similarity to the prototypes."""
        sharpness = 1 + self.scale.clamp(0, 1) * math.log(self.scale.numel())
        keys = F.normalize(self.key(self.dictionary), dim=-1) * sharpness[:, None]
        scores = F.normalize(self.query(tokens), dim=-1) @ keys.t()
        modulation = scores.softmax(dim=-1)
        enhancement = None if self.value is None else modulation @ self.value(self.dictionary)
        return Semantics(scores, modulation, enhancement)


@torch.no_grad()
def assign_categories(
    scores: Tensor, method: str, temperature: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Return each token's category: the nearest prototype, or one drawn in proportion to M^(1/τ).

    Drawing adds Gumbel noise g to log M: arg max(log M/τ + g) is a sample of softmax(log M/τ).

    Args:
        scores: S, (B, L, T).
        method: "argmax", or "gumbel" to draw.
        temperature: τ > 0, of the drawing; 1 is the paper's, towards 0 it becomes the arg max.
        generator: Where the noise comes from; torch's global one by default.

    Returns:
        (B, L) int64 in 0…T−1.
    """
    if method == "argmax":
        return scores.argmax(dim=-1)
    logits = scores.float().log_softmax(dim=-1) / temperature
    noise = -torch.empty_like(logits).exponential_(generator=generator).log()
    return (logits + noise).argmax(dim=-1)
