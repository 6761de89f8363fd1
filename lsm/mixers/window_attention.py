"""WMS: multi-head self-attention in rectangular windows of two orientations (paper §3; SwinIR-style windows and shift).

Half of the channels attend inside h×w rectangles, the other half inside w×h rectangles. A bias that depends on the
relative position comes from a small MLP; odd blocks shift the windows by half their size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lsm.mixers.base import LINEAR, MixerProperties
from lsm.mixers.layout import Size, to_image, to_tokens
from lsm.scan.reorder import take_rows

_SEPARATED = -100.0
"""Added to the score of two tokens that the shift brought together though they are apart in the image."""


@lru_cache(maxsize=32)
def relative_offsets(window: Size) -> tuple[Tensor, Tensor]:
    """List the offsets between two tokens of a window, and which pair has which.

    Args:
        window: (h, w).

    Returns:
        Offsets (Δy, Δx), ((2h−1)(2w−1), 2) float; and the index of the offset of each pair, (h·w, h·w) int64.
    """
    h, w = window
    dy, dx = torch.arange(1 - h, h), torch.arange(1 - w, w)
    offsets = torch.stack(torch.meshgrid(dy, dx, indexing="ij")).flatten(1).t().float()
    y, x = (axis.reshape(-1) for axis in torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij"))
    row, column = y[:, None] - y[None] + h - 1, x[:, None] - x[None] + w - 1
    return offsets, row * (2 * w - 1) + column


@lru_cache(maxsize=32)
def separation_mask(window: Size, last_row: bool, last_column: bool) -> Tensor:
    """Mask the pairs that a shift by half a window brought together, as in Swin.

    Only the windows of the last row and of the last column hold such pairs.

    Args:
        window: (h, w).
        last_row: The window lies in the last row of windows.
        last_column: The window lies in the last column of windows.

    Returns:
        (h·w, h·w) float: 0, or −100 for a separated pair.
    """
    h, w = window
    region = torch.zeros(h, w)
    if last_row:
        region[h - h // 2 :] += 1
    if last_column:
        region[:, w - w // 2 :] += 2
    flat = region.flatten()
    return (flat[:, None] != flat[None]).float() * _SEPARATED


LAST_ROW_COLUMN = ((False, False), (True, False), (False, True), (True, True))
"""The kinds of windows of a shifted image: whether they lie in the last row, and in the last column."""


class WindowPlan(NamedTuple):
    """Which token stands where, once the image is cut into windows; windows of one kind stand together."""

    order: Tensor
    """Raster position of each token of each window, (n, T) int64; −1 where the image was padded."""
    kinds: list[int]
    """How many windows there are of each of `LAST_ROW_COLUMN`; all are of the first without a shift."""

    @property
    def tokens(self) -> int:
        """Tokens of a window, T."""
        return self.order.shape[1]

    def rows(self, batch: int, length: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
        """Say how to cut tokens (B·L, …) into windows (n·B·T, …), the images of a batch inside each window.

        Returns:
            For `take_rows`: the order, the way back, and the rows of padding if there are any.
        """
        starts = torch.arange(0, batch * length, length)[None, :, None]
        source = torch.where(self.order[:, None] < 0, -1, self.order[:, None] + starts).flatten()
        empty = (source < 0).nonzero().flatten()
        back = torch.empty(batch * length, dtype=torch.int64)
        filled = (source >= 0).nonzero().flatten()
        back[source[filled]] = filled
        padding = empty.to(device) if len(empty) else None
        return source.clamp(min=0).to(device), back.to(device), padding


@lru_cache(maxsize=32)
def window_plan(size: Size, window: Size, shifted: bool) -> WindowPlan:
    """Cut an image, padded at the right and bottom to a multiple of max(h, w), into windows.

    Args:
        size: (H, W).
        window: (h, w).
        shifted: Roll the padded image by (−h/2, −w/2) first.
    """
    (height, width), (h, w), multiple = size, window, max(window)
    rows, columns = height + -height % multiple, width + -width % multiple
    raster = torch.full((rows, columns), -1)
    raster[:height, :width] = torch.arange(height * width).view(size)
    if shifted:
        raster = raster.roll((-(h // 2), -(w // 2)), dims=(0, 1))
    windows = rearrange(raster, "(ny h) (nx w) -> ny nx (h w)", h=h, w=w)
    if not shifted:
        return WindowPlan(windows.flatten(0, 1), [len(windows) * windows.shape[1]])
    cuts = {False: slice(-1), True: slice(-1, None)}
    parts = [windows[cuts[row], cuts[column]].flatten(0, 1) for row, column in LAST_ROW_COLUMN]
    return WindowPlan(torch.cat(parts), [len(part) for part in parts])


class DynamicPositionBias(nn.Module):
    """An MLP from the relative offset (Δy, Δx) to one bias a head.

    Args:
        width: Of the MLP.
        heads: Heads of the half of the channels that it serves.
        window: (h, w).
    """

    def __init__(self, width: int, heads: int, window: Size) -> None:
        super().__init__()
        self.window = window
        self.project = nn.Linear(2, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, out)) for out in (width, width, heads)
        )
        self._cached: tuple[Any, Tensor] | None = None

    def forward(self) -> Tensor:
        """Return the bias of every pair of tokens of a window, (heads, h·w, h·w)."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or self.project.weight.is_inference():
            return self._compute()  # tensors made in inference mode do not tell when they change
        key = tuple((p.data_ptr(), p._version, p.dtype) for p in self.parameters())
        if self._cached is None or self._cached[0] != key:
            self._cached = key, self._compute()
        return self._cached[1]

    def _compute(self) -> Tensor:
        offsets, index = relative_offsets(self.window)
        weight = self.project.weight
        values = self.project(offsets.to(weight))
        for layer in self.layers:
            values = layer(values)
        pairs = values.index_select(0, index.to(weight.device).flatten())
        return rearrange(pairs, "(q k) heads -> heads q k", q=index.shape[0]).contiguous()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cache out of copies and pickles."""
        return {**self.__dict__, "_cached": None}


class WindowAttention(nn.Module):
    """Attention in h×w windows for one half of the channels and in w×h windows for the other, plus a local branch.

    softmax(q·kᵀ/√d + bias)·v in each window, concatenated, plus a depthwise 3×3 convolution of v, then a Linear.
    The image is padded at the right and bottom with zeros, after the projection, to a multiple of max(h, w).

    Paper: Liu et al. 2021, Swin, arXiv 2103.14030; rectangles as in HiT-SR and CAT.
    Equation: y = softmax(q·kᵀ/√d + bias)·v in windows of h×w tokens.
    Cost: n, times h·w.
    Parameters: 4·C² + 14·C + 4·P² + 22·P + (P + 1)·heads, P the width of the position bias's MLPs.

    Args:
        dim: C.
        num_heads: Heads in all; each half has `num_heads // 2`.
        split_size: (h, w).
        shifted: Shift the windows by half their size.
        position_dim: Width of the MLP of the position bias.
    """

    properties = MixerProperties(LINEAR)

    def __init__(self, dim: int, num_heads: int, split_size: Size, shifted: bool, position_dim: int) -> None:
        super().__init__()
        h, w = split_size
        self.heads = num_heads // 2
        self.windows: tuple[Size, Size] = ((h, w), (w, h))
        self.shifted = shifted
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.local = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.bias = nn.ModuleList(DynamicPositionBias(position_dim, self.heads, window) for window in self.windows)

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C) of an image of `size` (H, W), L = H·W, into (B, L, C)."""
        halves = [self._attend(tokens, size, half) for half in (0, 1)]
        return self.proj(torch.cat(halves, dim=-1))

    def _attend(self, tokens: Tensor, size: Size, half: int) -> Tensor:
        """Compute one half of the channels: attention in its windows plus the local branch, (B, L, C/2)."""
        batch, length = tokens.shape[:2]
        window = self.windows[half]
        qkv = F.linear(tokens, *(self._half(p, half) for p in (self.qkv.weight, self.qkv.bias)))
        plan = window_plan(size, window, self.shifted)
        order, back, empty = plan.rows(batch, length, tokens.device)
        rows = take_rows(qkv.flatten(0, 1), order, back, empty)
        windows = rearrange(
            rows, "(n t) (three heads d) -> three n heads t d", t=plan.tokens, three=3, heads=self.heads
        )
        mixed = self._window_attention(windows, self.bias[half](), window, [batch * n for n in plan.kinds])
        out = take_rows(rearrange(mixed, "n heads t d -> (n t) (heads d)"), back, order, unused=empty)
        return out.view(batch, length, -1) + self._local(qkv, size, half)

    @staticmethod
    def _half(parameter: Tensor, half: int) -> Tensor:
        """Take one half's rows of q, k and v out of the weight or bias of C → 3C: (3C, …) → (3C/2, …)."""
        return parameter.unflatten(0, (3, 2, -1))[:, half].flatten(0, 1)

    def _local(self, qkv: Tensor, size: Size, half: int) -> Tensor:
        """Convolve one half's v, as an image, depthwise: (B, L, 3C/2) → (B, L, C/2)."""
        assert self.local.bias is not None
        weight, bias = self.local.weight.chunk(2)[half], self.local.bias.chunk(2)[half]
        value = to_image(qkv.chunk(3, dim=-1)[2], size)
        return to_tokens(F.conv2d(value, weight, bias, padding=1, groups=weight.shape[0]))

    def _window_attention(self, qkv: Tensor, bias: Tensor, window: Size, kinds: list[int]) -> Tensor:
        """Attend in windows (3, n, heads, T, d), of which `kinds` are inner, in the last row, column, and corner."""
        if not self.shifted:
            return _attention(qkv, bias)
        parts = [
            _attention(part, bias if kind == 0 else bias + separation_mask(window, *LAST_ROW_COLUMN[kind]).to(bias))
            for kind, part in enumerate(qkv.split(kinds, dim=1))
            if part.shape[1]
        ]
        return torch.cat(parts)


def _attention(qkv: Tensor, bias: Tensor) -> Tensor:
    """Compute softmax(q·kᵀ/√d + bias)·v of windows (3, n, heads, T, d): (n, heads, T, d)."""
    q, k, v = qkv
    if bias.requires_grad:
        # The fused kernel has no gradient for the bias, and its replacement guards against rows that are masked
        # whole, of which there are none here.
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-2, -1)) + bias
        return scores.softmax(dim=-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)[None])
