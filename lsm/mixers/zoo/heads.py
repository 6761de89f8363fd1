"""Attention heads of any width."""

from __future__ import annotations


def heads_in(dim: int, most: int) -> int:
    """Return the largest number of heads up to `most` that divides the channels `dim`."""
    return max(count for count in range(1, max(1, most) + 1) if dim % count == 0)
