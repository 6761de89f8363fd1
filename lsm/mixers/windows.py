"""Where the tokens of an image stand once it is cut into windows: plans kept by size, offsets in a window, masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from lsm.errors import OptionError
from lsm.mixers.base import Size

Kept = TypeVar("Kept")

SEPARATED = -100.0
"""Added to the score of two tokens that the shift brought together though they are apart in the image."""

LARGEST_WINDOW, MOST_WINDOW_TOKENS = 256, 4096
"""Beyond these, the pairs of a window's tokens, or the padding of an image to whole windows, would fill any memory."""


def check_window(window: tuple[int, ...]) -> None:
    """Raise unless images can be cut into windows of h×w, and as they are padded for that, into windows of w×h too.

    Raises:
        OptionError: With what must hold.
    """
    good = len(window) == 2 and all(1 <= side <= LARGEST_WINDOW for side in window)
    if not good or math.prod(window) > MOST_WINDOW_TOKENS:
        raise OptionError(
            f"split_size must be two numbers from 1 to {LARGEST_WINDOW}, of a product of at most {MOST_WINDOW_TOKENS}, "
            f"not {str(list(window))[:100]}."
        )
    if max(window) % min(window):
        raise OptionError(
            f"One side of split_size must be a multiple of the other, since windows of both orientations cut the same "
            f"image; {window[0]} and {window[1]} do not divide one another."
        )


def _kept(function: Callable[..., Kept]) -> Callable[..., Kept]:
    """Keep the results of a function of a window; a compiled graph computes them itself.

    Taken as constants they would be tensors from outside of the graph, and the guards of two blocks with windows of one
    size would name one source twice, which torch 2.14 refuses in a training step.
    """
    # What is kept may serve a training later, and inference tensors could not.
    cached = lru_cache(maxsize=32)(torch.inference_mode(False)(function))

    @wraps(function)
    def call(*args: Any) -> Kept:
        return function(*args) if torch.compiler.is_compiling() else cached(*args)

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
    """How to cut the tokens of a batch (B·L, …) into windows (n·B·T, …), and how to put them back; see `take_rows`."""

    order: Tensor
    """The token that each row takes, (n·B·T,) int64."""
    inverse: Tensor
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
    offsets = torch.arange(0, total, length, device=device)[None, :, None]
    source = torch.where(order[:, None] < 0, total, order[:, None] + offsets).flatten()
    rows, empty = torch.arange(len(source), device=device), source == total
    inverse = _last_written(source, rows, total)
    padded = len(source) - total
    # Compared, as torch 2.6 would take a symbol's truth for its value, and make a graph for each number of padded rows.
    padding = _last_written(torch.where(empty, empty.cumsum(0) - 1, padded), rows, padded) if padded > 0 else None
    return WindowRows(source.clamp(max=total - 1), inverse, padding, [batch * n for n in kinds])


def _last_written(places: Tensor, values: Tensor, count: int) -> Tensor:
    """Write values to places 0…count−1, each of which occurs once; those for place `count` are dropped."""
    return values.new_empty(count + 1).scatter(0, places, values)[:count]


@lru_cache(maxsize=16)  # the tiles of an image have up to four sizes, and each takes two windows, shifted or not
@torch.inference_mode(False)  # what is kept may serve a training later
def _kept_rows(size: Size, window: Size, shifted: bool, batch: int, device: torch.device) -> WindowRows:
    return _place_windows(size, window, shifted, batch, device)
