"""WMS: multi-head self-attention in rectangular windows of two orientations (paper §3; SwinIR-style windows and shift).

Half of the channels attend inside h×w rectangles, the other half inside w×h rectangles. A bias that depends on the
relative position comes from a small MLP; odd blocks shift the windows by half their size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

Size = tuple[int, int]

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
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._compute()
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

    Args:
        dim: C.
        num_heads: Heads in all; each half has `num_heads // 2`.
        split_size: (h, w).
        shifted: Shift the windows by half their size.
        position_dim: Width of the MLP of the position bias.
    """

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
        height = size[0]
        qkv = rearrange(self.qkv(tokens), "b (y x) (three half c) -> half b y x three c", y=height, three=3, half=2)
        mixed = torch.cat([self._attend(qkv[half], half) for half in (0, 1)], dim=-1)
        value = rearrange(qkv[..., 2, :], "half b y x c -> b (half c) y x")
        local = rearrange(self.local(value), "b c y x -> b (y x) c")
        return self.proj(mixed.flatten(1, 2) + local)

    def _attend(self, qkv: Tensor, half: int) -> Tensor:
        """Attend in the windows of one half: (B, H, W, 3, C/2) → (B, H, W, C/2)."""
        h, w = window = self.windows[half]
        height, width = qkv.shape[1:3]
        multiple = max(window)
        qkv = F.pad(qkv, (0, 0, 0, 0, 0, -width % multiple, 0, -height % multiple))
        if self.shifted:
            qkv = qkv.roll((-(h // 2), -(w // 2)), dims=(1, 2))
        windows = rearrange(
            qkv, "b (ny h) (nx w) three (heads d) -> three b ny nx heads (h w) d", h=h, w=w, heads=self.heads
        )
        out = self._window_attention(windows, self.bias[half](), window)
        image = rearrange(out, "b ny nx heads (h w) d -> b (ny h) (nx w) (heads d)", h=h, w=w)
        if self.shifted:
            image = image.roll((h // 2, w // 2), dims=(1, 2))
        return image[:, :height, :width]

    def _window_attention(self, qkv: Tensor, bias: Tensor, window: Size) -> Tensor:
        """Attend in every window: (3, B, ny, nx, heads, h·w, d) → (B, ny, nx, heads, h·w, d)."""
        if not self.shifted:
            return _attention(qkv, bias)
        masks = {
            (row, column): bias + separation_mask(window, row, column).to(bias) if row or column else bias
            for row in (False, True)
            for column in (False, True)
        }
        inner, last = slice(None, -1), slice(-1, None)
        rows = [
            torch.cat([_attention(qkv[:, :, y, x], masks[y is last, x is last]) for x in (inner, last)], dim=2)
            for y in (inner, last)
        ]
        return torch.cat(rows, dim=1)


def _attention(qkv: Tensor, bias: Tensor) -> Tensor:
    """Compute softmax(q·kᵀ/√d + bias)·v of (3, B, ny, nx, heads, T, d): (B, ny, nx, heads, T, d)."""
    grid = qkv.shape[1:4]
    if 0 in grid:
        return qkv[0]
    q, k, v = qkv.flatten(1, 3)
    if bias.requires_grad:
        # The fused kernel has no gradient for the bias, and its replacement guards against rows that are masked
        # whole, of which there are none here.
        scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-2, -1)) + bias
        out = scores.softmax(dim=-1).to(v.dtype) @ v
    else:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)[None])
    return out.unflatten(0, grid)
