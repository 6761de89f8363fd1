"""Orders in which a scan visits the H×W tokens of an image: pure index functions.

A permutation `p` of the raster positions y·W + x says that step k visits token p[k]; `tokens[p]` is the sequence, and
`lsm.scan.reorder.inverse(p)` puts it back. A named order is one or several directions, whose states are summed.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from lsm.errors import OptionError, unknown_name


def _raster(height: int, width: int) -> Tensor:
    return torch.arange(height * width)


def _column(height: int, width: int) -> Tensor:
    return torch.arange(height * width).view(height, width).t().reshape(-1)


def _snake(height: int, width: int) -> Tensor:
    grid = torch.arange(height * width).view(height, width).clone()
    grid[1::2] = grid[1::2].flip(1)
    return grid.view(-1)


def _hilbert(height: int, width: int) -> Tensor:
    """Visit the cells in the order of the Hilbert curve of the smallest enclosing square of side 2^n."""
    side = 1 << max(0, max(height, width) - 1).bit_length()
    y, x = (axis.reshape(-1) for axis in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    distance = torch.zeros_like(x)
    half = side // 2
    while half > 0:
        right, down = (x & half) > 0, (y & half) > 0
        distance += half * half * ((3 * right.long()) ^ down.long())
        # Turn the quadrant so that its own curve starts and ends where the next quadrants do.
        mirrored = right & ~down
        x, y = torch.where(mirrored, side - 1 - x, x), torch.where(mirrored, side - 1 - y, y)
        x, y = torch.where(down, x, y), torch.where(down, y, x)
        half //= 2
    return distance.argsort()


SPATIAL_ORDERS = {"raster": _raster, "column": _column, "snake": _snake, "hilbert": _hilbert}


def check_order(name: str) -> None:
    """Raise unless `name` is `category`, a spatial order, or `bidirectional` or `cross`, alone or as `cross-hilbert`.

    Raises:
        OptionError: With the nearest known names.
    """
    kind, dash, base = name.partition("-")
    if name == "category" or name in SPATIAL_ORDERS:
        return
    if kind in ("bidirectional", "cross") and (not dash or base in SPATIAL_ORDERS):
        return
    spatial = list(SPATIAL_ORDERS)
    composed = [f"{kind}-{base}" for kind in ("bidirectional", "cross") for base in spatial]
    raise OptionError(unknown_name("scan order", name, ["category", *spatial, "bidirectional", "cross", *composed]))


def permutation(name: str, height: int, width: int) -> Tensor:
    """Return the visiting order of one spatial direction.

    Args:
        name: One of `SPATIAL_ORDERS`.
        height: H, at least 1.
        width: W, at least 1.

    Returns:
        (H·W,) int64, a permutation of the raster positions.
    """
    if isinstance(height, int) and isinstance(width, int):
        return _kept_permutation(name, height, width)
    return SPATIAL_ORDERS[name](height, width)  # symbols of a graph of dynamic size


@lru_cache(maxsize=64)
def _kept_permutation(name: str, height: int, width: int) -> Tensor:
    return SPATIAL_ORDERS[name](height, width)


def directions(name: str, height: int, width: int) -> list[tuple[Tensor | None, bool]]:
    """List the scans of a spatial order.

    Args:
        name: A spatial order (one direction); `bidirectional[-ORDER]` (that order and back); `cross[-ORDER]` (that
            order and the same of the transposed image, each there and back). ORDER is `raster` where it is left out.
        height: H.
        width: W.

    Returns:
        For each scan its permutation, (H·W,), None for the raster order, and whether it runs backwards.
    """
    kind, _, base = name.partition("-")
    if kind not in ("bidirectional", "cross"):
        kind, base = "single", name
    base = base or "raster"
    orders = [None if base == "raster" else permutation(base, height, width)]
    if kind == "cross":
        # Position x·H + y of the transposed image is position y·W + x of this one.
        orders.append(_column(height, width)[permutation(base, width, height)])
    both = (False,) if kind == "single" else (False, True)
    return [(order, backwards) for order in orders for backwards in both]
