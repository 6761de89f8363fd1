"""WMS: multi-head self-attention in rectangular windows of two orientations (paper §3; SwinIR-style windows and shift).

Half of the channels attend inside h×w rectangles, the other half inside w×h rectangles. A bias that depends on the
relative position comes from a small MLP; odd blocks shift the windows by half their size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lsm.mixers.base import LINEAR, MixerProperties
from lsm.mixers.layout import Size, to_image, to_tokens
from lsm.scan.reorder import take_rows

Kept = TypeVar("Kept")

SEPARATED = -100.0
"""Added to the score of two tokens that the shift brought together though they are apart in the image."""


def _kept(function: Callable[..., Kept]) -> Callable[..., Kept]:
    """Keep the results of a function of a window; a compiled graph takes them as constants."""
    # What is kept may serve a training later, and inference tensors could not.
    cached = lru_cache(maxsize=32)(torch.inference_mode(False)(function))

    @wraps(function)
    def call(*args: Any) -> Kept:
        return cached(*args)

    # What torch.compiler.assume_constant_result does, which would import the whole compiler with this module.
    call._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return call


@_kept
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


@_kept
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
    return (flat[:, None] != flat[None]).float() * SEPARATED


LAST_ROW_COLUMN = ((False, False), (True, False), (False, True), (True, True))
"""The kinds of windows of a shifted image: whether they lie in the last row, and in the last column."""


class WindowPlan(NamedTuple):
    """Which token stands where, once the image is cut into windows; windows of one kind stand together."""

    order: Tensor
    """Raster position of each token of each window, (n, T) int64; −1 where the image was padded."""
    kinds: list[int]
    """How many windows there are of each of `LAST_ROW_COLUMN`; all are of the first without a shift."""


def window_plan(size: Size, window: Size, shifted: bool, device: torch.device | None = None) -> WindowPlan:
    """Cut an image, padded at the right and bottom to a multiple of max(h, w), into windows.

    Args:
        size: (H, W).
        window: (h, w).
        shifted: Roll the padded image by (−h/2, −w/2) first.
        device: Where to make the plan; the CPU by default.
    """
    (height, width), (h, w), multiple = size, window, max(window)
    rows, columns = height + -height % multiple, width + -width % multiple
    raster = F.pad(
        torch.arange(height * width, device=device).view(height, width),
        (0, columns - width, 0, rows - height),
        value=-1,
    )
    if shifted:
        raster = raster.roll((-(h // 2), -(w // 2)), dims=(0, 1))
    windows = rearrange(raster, "(ny h) (nx w) -> ny nx (h w)", h=h, w=w)
    if not shifted:
        return WindowPlan(windows.flatten(0, 1), [len(windows) * windows.shape[1]])
    cuts = {False: slice(-1), True: slice(-1, None)}
    parts = [windows[cuts[row], cuts[column]].flatten(0, 1) for row, column in LAST_ROW_COLUMN]
    return WindowPlan(torch.cat(parts), [len(part) for part in parts])


class WindowRows(NamedTuple):
    """How to cut the tokens of a batch (B·L, …) into windows (n·B·T, …) and back; see `take_rows`."""

    order: Tensor
    """The token that each row takes, (n·B·T,) int64."""
    back: Tensor
    """The row where each token went, (B·L,) int64."""
    padding: Tensor | None
    """The rows of padding, (k,) int64, if there are any."""
    kinds: list[int]
    """How many windows there are of each of `LAST_ROW_COLUMN`, in the whole batch."""


def window_rows(size: Size, window: Size, shifted: bool, batch: int, device: torch.device) -> WindowRows:
    """Plan the windows of a whole batch on a device; images of the batch stand beside each other in each place.

    Plans are kept by size. A compiled graph computes them itself, so that its sizes may be symbols.

    Args:
        size: (H, W).
        window: (h, w).
        shifted: See `window_plan`.
        batch: B.
        device: Where the tokens are.
    """
    place = _place_windows if torch.compiler.is_compiling() else _kept_rows
    return place(size, window, shifted, batch, device)


def _place_windows(size: Size, window: Size, shifted: bool, batch: int, device: torch.device) -> WindowRows:
    """Compute a plan; the shapes of all steps follow from the sizes, none from the values of a tensor."""
    order, kinds = window_plan(size, window, shifted, device)
    length = size[0] * size[1]
    total = batch * length
    starts = torch.arange(0, total, length, device=device)[None, :, None]
    source = torch.where(order[:, None] < 0, total, order[:, None] + starts).flatten()
    rows, empty = torch.arange(len(source), device=device), source == total
    back = _last_written(source, rows, total)
    padded = len(source) - total
    padding = _last_written(torch.where(empty, empty.cumsum(0) - 1, padded), rows, padded) if padded else None
    return WindowRows(source.clamp(max=total - 1), back, padding, [batch * n for n in kinds])


def _last_written(places: Tensor, values: Tensor, count: int) -> Tensor:
    """Write values to places 0…count−1, each of which occurs once; those for place `count` are dropped."""
    return values.new_empty(count + 1).scatter(0, places, values)[:count]


@lru_cache(maxsize=16)  # the tiles of a picture have up to four sizes, and each takes two windows, shifted or not
@torch.inference_mode(False)  # what is kept may serve a training later
def _kept_rows(size: Size, window: Size, shifted: bool, batch: int, device: torch.device) -> WindowRows:
    return _place_windows(size, window, shifted, batch, device)


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
        kind = weight.device.type if torch.amp.is_autocast_available(weight.device.type) else "cpu"
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
        self.depth = dim // 2 // self.heads
        self.padded_depth = padded_depth(self.depth)
        self.windows: tuple[Size, Size] = ((h, w), (w, h))
        self.shifted = shifted
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.local = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.bias = nn.ModuleList(
            DynamicPositionBias(position_dim, self.heads, window, shifted) for window in self.windows
        )

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C) of an image of `size` (H, W), L = H·W, into (B, L, C)."""
        halves = [self._attend(tokens, size, half) for half in (0, 1)]
        weight = self._pad_heads(self.proj.weight.t()).t()
        return F.linear(torch.cat(halves, dim=-1), weight, self.proj.bias)

    def _attend(self, tokens: Tensor, size: Size, half: int) -> Tensor:
        """Compute one half of the channels: attention in its windows plus the local branch, (B, L, heads·D)."""
        batch, length = tokens.shape[:2]
        weight, bias = (self._half(parameter, half) for parameter in (self.qkv.weight, self.qkv.bias))
        qkv = F.linear(tokens, weight, bias)
        local = self._local(qkv, size, half)
        plan = window_rows(size, self.windows[half], self.shifted, batch, tokens.device)
        rows = take_rows(qkv.flatten(0, 1), plan.order, plan.back, plan.padding)
        del qkv  # the largest tensor here
        mixed = self._attend_rows(rows, plan.kinds, half)
        del rows
        out = take_rows(mixed, plan.back, plan.order, unused=plan.padding)
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
