"""A scan in plain torch that steps through all blocks of the sequence at once.

The L steps are cut into S blocks of K. Pass 1 runs every block from a zero state and keeps only its end state and its
product of transitions, S·N numbers; pass 2 carries the states from block to block; pass 3 runs every block again from
its true first state and writes the output. That is 2K + S small vector operations instead of L, about 2√(2L), and
scratch of O(N·√L). Each output is computed by the recurrence itself, so nothing is divided and nothing can overflow.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from lsm.scan.planes import Planes, fma, mul


@lru_cache(maxsize=256)
def block_length(length: int) -> int:
    """Choose K: near √(L/2), where 2K + S is least, and so that few steps remain for the tail.

    Args:
        length: L, number of steps, at least 1.

    Returns:
        K in 1…L.
    """
    middle = max(1.0, math.sqrt(length / 2))
    candidates = range(max(1, int(0.7 * middle)), min(length, math.ceil(1.4 * middle)) + 1)
    return min(candidates, key=lambda k: 2 * k + length // k + length % k)


def scan_blocked(a: Planes, b: Planes, h0: Planes | None, reverse: bool) -> Planes:
    """Run h_k = a_k h_{k-1} + b_k block-wise; arguments and result as `scan_reference`."""
    batch, length, width = b[0].shape
    size = block_length(length)
    count = length // size
    out = tuple(plane.new_empty(batch, length, width) for plane in b)
    state = tuple(plane.new_zeros(batch, width) for plane in b) if h0 is None else h0

    # The tail, fewer than K steps that fill no block, comes last in the direction of the scan.
    cut = count * size
    main, tail = (slice(length - cut, length), range(length - cut - 1, -1, -1)) if reverse else (
        slice(0, cut), range(cut, length))  # fmt: skip
    blocks_a, blocks_b, blocks_out = (
        tuple(plane[:, main].unflatten(1, (count, size)) for plane in planes) for planes in (a, b, out)
    )
    steps = range(size - 1, -1, -1) if reverse else range(size)
    ends, products = _block_summaries(blocks_a, blocks_b, steps)
    starts, state = _carry(products, ends, state, reverse)
    for k in steps:
        target = tuple(plane[:, :, k] for plane in blocks_out)
        starts = fma(_at(blocks_a, k), starts, _at(blocks_b, k), out=target)
    for k in tail:
        state = fma(
            tuple(plane[:, k] for plane in a),
            state,
            tuple(plane[:, k] for plane in b),
            out=tuple(plane[:, k] for plane in out),
        )
    return out


def _at(blocks: Planes, k: int) -> Planes:
    """Step k of every block: (B, S, K, N) → (B, S, N)."""
    return tuple(plane[:, :, k] for plane in blocks)


def _block_summaries(a: Planes, b: Planes, steps: range) -> tuple[Planes, Planes]:
    """Return each block's end state from a zero start and its product of transitions, both (B, S, N)."""
    ends, products = _at(b, steps[0]), _at(a, steps[0])
    for k in steps[1:]:
        ends = fma(_at(a, k), ends, _at(b, k))
        products = mul(_at(a, k), products)
    return ends, products


def _carry(products: Planes, ends: Planes, state: Planes, reverse: bool) -> tuple[Planes, Planes]:
    """Return the state before each block, (B, S, N), and the state after the last one, (B, N)."""
    count = ends[0].shape[1]
    starts: list[Planes] = [state] * count
    for s in reversed(range(count)) if reverse else range(count):
        starts[s] = state
        state = fma(tuple(p[:, s] for p in products), state, tuple(e[:, s] for e in ends))
    return tuple(torch.stack([start[i] for start in starts], dim=1) for i in range(len(ends))), state
