"""Tiles of an image, and how the upscaled tiles become one image again; pure functions.

Along each axis, tiles start on multiples of the network's window, so that its attention windows lie as in the whole
image, and end at the image's border. Between two neighbours only the middle half of their overlap is blended; the outer
quarters, which the network sees without context, are dropped. At most two tiles meet in one place of an axis, so sums
have two terms, and the result does not depend on the order of the tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm.errors import OptionError


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in low-resolution pixels.

    Attributes:
        start: First pixel that the network reads.
        stop: One past the last.
        keep_start: First pixel whose result is used.
        keep_stop: One past the last.
        fade_in: Pixels from `keep_start` on that are blended with the tile before.
        fade_out: Pixels up to `keep_stop` that are blended with the tile after.
    """

    start: int
    stop: int
    keep_start: int
    keep_stop: int
    fade_in: int = 0
    fade_out: int = 0


def check_tile(tile: int, overlap: int, multiple: int) -> int:
    """Check a tile size and round it down to a multiple of the window.

    Args:
        tile: Side in low-resolution pixels; 0 for no tiles.
        overlap: Pixels that neighbours share.
        multiple: The network's window.

    Returns:
        The tile size to use.

    Raises:
        OptionError: If there is no such grid.
    """
    if tile < 0 or overlap < 0:
        raise OptionError(f"Tile size and overlap cannot be negative (got {tile} and {overlap}).")
    if tile == 0:
        return 0
    if tile < 2 * multiple:
        raise OptionError(f"Tile size {tile} is too small: two windows, {2 * multiple}, are the least (0 = no tiles).")
    rounded = tile - tile % multiple
    if 2 * overlap > rounded:
        raise OptionError(f"Tile overlap {overlap} is more than half the tile size {rounded}.")
    return rounded


def spans(size: int, tile: int, overlap: int, multiple: int) -> list[Span]:
    """Cut one axis into tiles.

    Args:
        size: Length of the axis, at least 1.
        tile: Length of a tile, a multiple of `multiple` and at least twice that; 0, or at least `size`: one tile.
        overlap: Least length that neighbours share, at most half of `tile`; rounded up so that tiles start on
            multiples of `multiple`.
        multiple: The network's window.

    Returns:
        The tiles from first to last; the last one may be shorter.
    """
    if tile == 0 or tile >= size:
        return [Span(0, size, 0, size)]
    step = (tile - overlap) // multiple * multiple
    shared = tile - step
    starts = range(0, size - shared, step)
    fade = shared // 2
    cut = (shared - fade) // 2  # where blending begins, from a tile's start
    last = len(starts) - 1
    return [
        Span(
            start=start,
            stop=min(start + tile, size),
            keep_start=start + cut if i else 0,
            keep_stop=start + step + cut + fade if i < last else size,
            fade_in=fade if i else 0,
            fade_out=fade if i < last else 0,
        )
        for i, start in enumerate(starts)
    ]


def weights(span: Span, scale: int) -> Tensor:
    """Return the weight of each upscaled pixel that a tile keeps: a raised cosine over the blended ends, else 1.

    Args:
        span: The tile.
        scale: Upscaling factor.

    Returns:
        (scale · (keep_stop - keep_start),) float32. Weights of neighbours add up to 1.
    """
    result = torch.ones((span.keep_stop - span.keep_start) * scale)
    if span.fade_in:
        result[: span.fade_in * scale] = _ramp(span.fade_in * scale)
    if span.fade_out:
        result[-span.fade_out * scale :] = 1 - _ramp(span.fade_out * scale)
    return result


def _ramp(length: int) -> Tensor:
    return torch.sin((torch.arange(length, dtype=torch.float64) + 0.5) / length * torch.pi / 2).square().float()


def count_tiles(height: int, width: int, tile: int, overlap: int, multiple: int) -> int:
    """Count the tiles of an image."""
    return len(spans(height, tile, overlap, multiple)) * len(spans(width, tile, overlap, multiple))


def blend_bands(
    rows: list[Span], columns: list[Span], scale: int, upscale: Callable[[Span, Span], Tensor]
) -> Iterator[tuple[int, Tensor]]:
    """Upscale tile by tile and yield the image in finished bands from top to bottom.

    Only one row of tiles and one blended strip are held, however tall the image is.

    Args:
        rows: Tiles along the height.
        columns: Tiles along the width.
        scale: Upscaling factor.
        upscale: Gives the network's result for the tile at (row, column), (3, scale · h, scale · w) float32 on the CPU.

    Yields:
        The first upscaled row of a band, and the band, (3, height of the band, scale · W) float32.
    """
    width = columns[-1].stop * scale
    strip = None
    for row in rows:
        band = torch.zeros(3, (row.keep_stop - row.keep_start) * scale, width)
        top, bottom = ((edge - row.start) * scale for edge in (row.keep_start, row.keep_stop))
        for column in columns:
            left, right = ((edge - column.start) * scale for edge in (column.keep_start, column.keep_stop))
            kept = upscale(row, column)[:, top:bottom, left:right]
            band[:, :, column.keep_start * scale : column.keep_stop * scale] += kept * weights(column, scale)
        band *= weights(row, scale)[:, None]
        if strip is not None:
            band[:, : strip.shape[1]] += strip
        finished = band.shape[1] - row.fade_out * scale
        strip = band[:, finished:].clone()
        yield row.keep_start * scale, band[:, :finished]
