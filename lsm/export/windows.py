"""Window attention for images whose size is known only when the network runs.

`lsm.mixers.windows` plans its windows from the size, in Python. This twin computes the same plan from the size
with operations on tensors, which a graph of dynamic height and width can hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm.mixers.base import Size, to_image, to_tokens
from lsm.mixers.window_attention import DynamicPositionBias, WindowAttention
from lsm.mixers.windows import SEPARATED, relative_offsets


class DynamicPlan(NamedTuple):
    """Which token stands where, once the image is cut into n windows of T tokens."""

    order: Tensor
    """Raster position of each token of each window, (n, T) int64; L where the image was padded."""
    inverse: Tensor
    """Where each token of the image stands in the windows, (L,) int64 in 0…n·T−1."""
    mask: Tensor | None
    """What is added to the scores, (n, 1, T, T): 0, or `SEPARATED` for a pair that the shift brought together."""


def dynamic_plan(size: Size, window: Size, shifted: bool) -> DynamicPlan:
    """Cut an image, padded at the right and bottom to a multiple of max(h, w), into windows.

    Args:
        size: (H, W), numbers or symbols.
        window: (h, w).
        shifted: Roll the padded image by (−h/2, −w/2) first.
    """
    (h, w), multiple = window, max(window)
    # Tensors, since a graph of ONNX has no arithmetic between tensors and sizes.
    height, width = (torch.scalar_tensor(side, dtype=torch.int64) for side in size)
    rows, columns = ((side + multiple - 1) // multiple * multiple for side in (height, width))
    down, right = (h // 2, w // 2) if shifted else (0, 0)
    across = columns // w

    number, place = torch.arange(new_size(rows // h * across))[:, None], torch.arange(h * w)[None]
    y, x = number // across * h + place // w, number % across * w + place % w
    source_y, source_x = (y + down) % rows, (x + right) % columns
    order = torch.where((source_y < height) & (source_x < width), source_y * width + source_x, height * width)

    token = torch.arange(size[0] * size[1])
    y_there, x_there = (token // width + rows - down) % rows, (token % width + columns - right) % columns
    inverse = (y_there // h * across + x_there // w) * (h * w) + y_there % h * w + x_there % w
    if not shifted:
        return DynamicPlan(order, inverse, None)
    region = (y >= rows - down).float() + 2 * (x >= columns - right).float()
    return DynamicPlan(order, inverse, (region[:, None] != region[..., None]).float()[:, None] * SEPARATED)


def new_size(number: Tensor) -> Any:
    """Turn a positive number into a size.

    Tracing takes it for a new symbol, not for an expression of the sides of the image, with which each check of a
    shape would be costly algebra.
    """
    symbol = number.item()
    torch._check(symbol >= 1)
    return symbol


class Plans:
    """The plans of one forward pass, each computed once for all blocks that need it."""

    def __init__(self) -> None:
        self._plans: dict[tuple[Size, bool], DynamicPlan] = {}
        self._pairs: dict[Size, Tensor] = {}

    def forget(self) -> None:
        """Begin a new image."""
        self._plans.clear()

    def __call__(self, size: Size, window: Size, shifted: bool) -> DynamicPlan:
        """Return a plan for the image of this pass."""
        if (window, shifted) not in self._plans:
            self._plans[window, shifted] = dynamic_plan(size, window, shifted)
        return self._plans[window, shifted]

    def pairs(self, window: Size) -> Tensor:
        """Return the index of the offset of each pair of a window's tokens, (h·w, h·w), small: int16."""
        if window not in self._pairs:
            self._pairs[window] = relative_offsets(window)[1].to(torch.int16)
        return self._pairs[window]


class DynamicWindowAttention(nn.Module):
    """What a `WindowAttention` computes, for one image at a time.

    The position bias is kept as one value a relative offset, a small table in place of the MLP that makes it.

    Args:
        twin: Whose weights it takes.
        plans: Shared by all blocks of the network.
    """

    def __init__(self, twin: WindowAttention, plans: Plans) -> None:
        super().__init__()
        self.heads, self.windows, self.shifted, self.plans = twin.heads, twin.windows, twin.shifted, plans
        self.qkv, self.proj, self.local = twin.qkv, twin.proj, twin.local
        for window in self.windows:
            plans.pairs(window)  # before the trace, which would keep the steps in place of the result
        with torch.no_grad():
            tables = [_by_offset(bias) for bias in twin.bias]
        self.tables = nn.ParameterList(nn.Parameter(table, requires_grad=False) for table in tables)

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (1, L, C) of an image of `size` (H, W), L = H·W, into (1, L, C)."""
        qkv = self.qkv(tokens)
        local = to_tokens(self.local(to_image(qkv.chunk(3, dim=-1)[2], size)))
        padded = torch.cat([qkv[0], torch.zeros(1, qkv.shape[2])])  # the last row is what padding reads
        # (L + 1, 3C) -> for each half (L + 1, 3C/2)
        halves = [half.flatten(1) for half in padded.unflatten(1, (3, 2, -1)).unbind(2)]
        mixed = [self._attend(part, size, half) for half, part in enumerate(halves)]
        return self.proj(torch.cat(mixed, dim=-1)[None] + local)

    def _attend(self, qkv: Tensor, size: Size, half: int) -> Tensor:
        """Attend in the windows of one half of the channels: (L + 1, 3C/2) → (L, C/2)."""
        plan = self.plans(size, self.windows[half], self.shifted)
        windows = F.embedding(plan.order, qkv).unflatten(2, (3, self.heads, -1))
        q, k, v = windows.permute(2, 0, 3, 1, 4)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + self._bias(half)
        if plan.mask is not None:
            scores = scores + plan.mask
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2)
        return mixed.flatten(2).flatten(0, 1).index_select(0, plan.inverse)

    def _bias(self, half: int) -> Tensor:
        """Spread the table of a half over the pairs of a window: (heads, h·w, h·w)."""
        return F.embedding(self.plans.pairs(self.windows[half]).long(), self.tables[half]).permute(2, 0, 1)


def _by_offset(bias: nn.Module) -> Tensor:
    """Compute a position bias for each relative offset, ((2h−1)(2w−1), heads)."""
    assert isinstance(bias, DynamicPositionBias)
    values = bias.project(relative_offsets(bias.window)[0])
    for layer in bias.layers:
        values = layer(values)
    return values
