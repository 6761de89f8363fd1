"""WMS: multi-head self-attention in rectangular windows of two orientations (paper §3; SwinIR-style windows and shift).

Half of the channels attend inside h×w rectangles, the other half inside w×h rectangles. A bias that depends on the
relative position comes from a small MLP; odd blocks shift the windows by half their size.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lsm.mixers.base import LINEAR, MixerProperties, Size, TokenMixer, has_autocast, to_image, to_tokens
from lsm.mixers.windows import LAST_ROW_COLUMN, check_window, relative_offsets, separation_mask, window_rows
from lsm.scan.reorder import take_rows


class DynamicPositionBias(nn.Module):
    """An MLP from the relative offset (Δy, Δx) to one bias a head.

    Args:
        width: Of the MLP.
        heads: Heads of the half of the channels that it serves.
        window: (h, w).
        shifted: Whether windows are shifted, so that those at the border need a mask.
    """

    def __init__(self, width: int, heads: int, window: Size, shifted: bool) -> None:
        super().__init__()
        self.window, self.shifted = window, shifted
        self.project = nn.Linear(2, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, out)) for out in (width, width, heads)
        )
        self._cached: tuple[Any, list[Tensor]] | None = None

    def forward(self) -> list[Tensor]:
        """Return what is added to the scores in each kind of window, (heads, h·w, h·w) each: bias, and mask if any."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or self.project.weight.is_inference():
            return self._compute()  # tensors made in inference mode do not tell when they change
        key = tuple((p.data_ptr(), p._version, p.dtype) for p in self.parameters())
        if self._cached is None or self._cached[0] != key:
            self._cached = key, self._compute()
        return self._cached[1]

    def _compute(self) -> list[Tensor]:
        offsets, index = relative_offsets(self.window)
        weight = self.project.weight
        kind = weight.device.type if has_autocast(weight.device.type) else "cpu"
        with torch.autocast(kind, enabled=False):  # else what is kept would depend on who came first
            values = self.project(offsets.to(weight))
            for layer in self.layers:
                values = layer(values)
        pairs = values.index_select(0, index.to(weight.device).flatten())
        bias = rearrange(pairs, "(q k) heads -> heads q k", q=math.prod(self.window)).contiguous()
        masks = [separation_mask(self.window, *kind) for kind in LAST_ROW_COLUMN[1:]] if self.shifted else []
        return [bias, *(bias + mask.to(bias) for mask in masks)]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cache out of copies and pickles."""
        return {**self.__dict__, "_cached": None}


class WindowAttention(TokenMixer):
    """Attention in h×w windows for one half of the channels and in w×h windows for the other, plus a local branch.

    softmax(q·kᵀ/√d + bias)·v in each window, concatenated, plus a depthwise 3×3 convolution of v, then a Linear.
    The image is padded at the right and bottom with zeros, after the projection, to a multiple of max(h, w).

    Paper: Liu et al. 2021, Swin, arXiv 2103.14030; rectangles as in HiT-SR and CAT.
    Equation: y = softmax(q·kᵀ/√d + bias)·v in windows of h×w tokens.
    Cost: n, times h·w.
    Parameters: 4·C² + 14·C + 4·P² + 22·P + (P + 1)·heads, P the width of the position bias's MLPs.

    Args:
        dim: C, even.
        sequence: See `TokenMixer`; a sequence is folded into rows of the longer side of the windows, so that half of
            the channels attend to h·w neighbours, the other half to as many in a longer stretch.
        num_heads: Heads in all, half of them for each half of the channels; the largest even number up to this that
            divides C is taken.
        split_size: (h, w), one a multiple of the other.
        shifted: Shift the windows by half their size.
        pos_dim: Width of the MLP of the position bias.

    Raises:
        OptionError: On a window that no image can be cut into.
    """

    properties = MixerProperties(LINEAR)

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        num_heads: int = 4,
        split_size: Size = (8, 16),
        shifted: bool = False,
        pos_dim: int = 8,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        check_window(split_size)
        h, w = split_size
        heads = max(count for count in range(2, max(2, num_heads) + 1, 2) if dim % count == 0 or count == 2)
        self.heads = heads // 2
        self.depth = dim // 2 // self.heads
        self.padded_depth = padded_depth(self.depth)
        self.windows: tuple[Size, Size] = ((h, w), (w, h))
        self.shifted = shifted
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.local = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.bias = nn.ModuleList(DynamicPositionBias(pos_dim, self.heads, window, shifted) for window in self.windows)

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        length = tokens.shape[1]
        if self.sequence:
            width = max(self.windows[0])
            tokens = F.pad(tokens, (0, 0, 0, -length % width))  # the last row is filled with zeros
            size = (tokens.shape[1] // width, width)
        halves = [self._attend(tokens, size, half) for half in (0, 1)]
        weight = self._pad_heads(self.proj.weight.t()).t()
        mixed = F.linear(torch.cat(halves, dim=-1), weight, self.proj.bias)
        return mixed[:, :length] if self.sequence else mixed

    def _attend(self, tokens: Tensor, size: Size, half: int) -> Tensor:
        """Compute one half of the channels: attention in its windows plus the local branch, (B, L, heads·D)."""
        batch, length = tokens.shape[:2]
        weight, bias = (self._half(parameter, half) for parameter in (self.qkv.weight, self.qkv.bias))
        qkv = F.linear(tokens, weight, bias)
        local = self._local(qkv, size, half)
        plan = window_rows(size, self.windows[half], self.shifted, batch, tokens.device)
        rows = take_rows(qkv.flatten(0, 1), plan.order, plan.inverse, plan.padding)
        del qkv  # the largest tensor here
        mixed = self._attend_rows(rows, plan.kinds, half)
        del rows
        out = take_rows(mixed, plan.inverse, plan.order, unused=plan.padding)
        return out.view(batch, length, -1) + local

    def _attend_rows(self, rows: Tensor, kinds: list[int], half: int) -> Tensor:
        """Attend in windows whose tokens stand together, (n·T, 3·heads·D) → (n·T, heads·D)."""
        windows = rearrange(rows, "(n t) (three heads d) -> three n heads t d", n=sum(kinds), three=3, heads=self.heads)
        scale = self.depth**-0.5
        # The fused kernel writes (n, T, heads, D), so that laid out as tokens its results need no copy.
        parts = [
            rearrange(_attention(part, added, scale), "n heads t d -> (n t) (heads d)")
            for part, added in zip(windows.split(kinds, dim=1), self.bias[half](), strict=True)
            if part.shape[1]
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _pad_heads(self, parameter: Tensor) -> Tensor:
        """Append zeros to the channels of each head: (…·heads·d, …) → (…·heads·D, …)."""
        if self.padded_depth == self.depth:
            return parameter
        heads = parameter.unflatten(0, (-1, self.depth))
        behind = [0, 0] * (heads.dim() - 2)  # F.pad counts axes from the last
        return F.pad(heads, [*behind, 0, self.padded_depth - self.depth]).flatten(0, 1)

    def _half(self, parameter: Tensor, half: int) -> Tensor:
        """Take one half's rows of q, k and v out of the weight or bias of C → 3C: (3C, …) → (3·heads·D, …)."""
        return self._pad_heads(parameter.unflatten(0, (3, 2, -1))[:, half].flatten(0, 1))

    def _local(self, qkv: Tensor, size: Size, half: int) -> Tensor:
        """Convolve one half's v, as an image, depthwise: (B, L, 3·heads·D) → (B, L, heads·D)."""
        assert self.local.bias is not None
        weight, bias = (self._pad_heads(p.chunk(2)[half]) for p in (self.local.weight, self.local.bias))
        value = to_image(qkv.chunk(3, dim=-1)[2], size)
        return to_tokens(F.conv2d(value, weight, bias, padding=1, groups=weight.shape[0]))


def padded_depth(depth: int) -> int:
    """Choose with how many channels a head is computed, D ≥ d; the others hold zeros.

    Matrix kernels run at their full speed at multiples of 16: on a CPU 15 channels take 1.6 times as long as 16.
    """
    multiple = -(-depth // 16) * 16
    return multiple if depth > 0.75 * multiple else depth


def _attention(qkv: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Compute softmax(scale·q·kᵀ + bias)·v of windows (3, n, heads, T, D): (n, heads, T, D)."""
    q, k, v = qkv
    if bias.requires_grad:
        # The fused kernel has no gradient for the bias, and its replacement guards against rows that are masked
        # whole, of which there are none here.
        scores = torch.matmul(q * scale, k.transpose(-2, -1)) + bias
        return scores.softmax(dim=-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)[None], scale=scale)
