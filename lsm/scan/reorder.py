"""Tokens in another order: one copy of whole rows, forwards and in the gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def take_rows(
    rows: Tensor, order: Tensor, inverse: Tensor, empty: Tensor | None = None, unused: Tensor | None = None
) -> Tensor:
    """Build a matrix from the rows of another, each of which is used once at most.

    The gradient is the same copy the other way round; torch's own for an index would add row by row.

    Args:
        rows: (n, C).
        order: For each row of the result the row it takes, (m,) int64.
        inverse: For each of `rows` the row of the result where it went, (n,) int64.
        empty: Rows of the result that are zero whatever `order` says, (k,) int64.
        unused: Those of `rows` that went nowhere whatever `inverse` says, (l,) int64; m + l = n + k.

    Returns:
        (m, C).
    """
    result = _TakeRows.apply(rows, order, inverse, empty, unused)
    assert isinstance(result, Tensor)
    return result


class _TakeRows(torch.autograd.Function):
    @staticmethod
    def forward(rows: Tensor, order: Tensor, inverse: Tensor, empty: Tensor | None, unused: Tensor | None) -> Tensor:
        result = rows.index_select(0, order)
        return result if empty is None else result.index_fill_(0, empty, 0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[2], inputs[4])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:  # type: ignore[override]
        inverse, unused = ctx.saved_tensors
        result = grad.index_select(0, inverse)
        return result if unused is None else result.index_fill_(0, unused, 0), None, None, None, None


def permute_tokens(tokens: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """Reorder the tokens of each image.

    Args:
        tokens: (B, L, C).
        order: Permutation of the positions, one for all images (L,) or one each (B, L).
        inverse: The inverse permutation, of the same shape.
    """
    batch, length = tokens.shape[:2]
    offsets = torch.arange(0, batch * length, length, device=tokens.device)[:, None]
    rows = take_rows(tokens.flatten(0, 1), (order + offsets).flatten(), (inverse + offsets).flatten())
    return rows.view_as(tokens)


def invert(order: Tensor) -> Tensor:
    """Invert permutations along the last axis: (…, L) int64 → (…, L)."""
    steps = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, steps)
