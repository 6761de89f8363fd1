"""A scan in plain torch that steps through all blocks of the sequence at once.

The L steps are cut into S blocks of K. Pass 1 runs every block from a zero state and keeps only its end state and its
product of transitions, S·N numbers; pass 2 carries the states from block to block, which is a scan of S steps; pass 3
runs every block again from its true first state and writes the output. With K between √L/8 and √L that is O(√L) vector
operations instead of L (110 for 16,384 steps), and scratch of O(N·√L). Each output comes from the recurrence itself, so
nothing is divided and nothing can overflow.
"""

from __future__ import annotations

import math
from functools import lru_cache

from lsm.scan.planes import Planes, fma, mul

_SHORT = 32
"""A sequence of at most this many steps is scanned step by step."""


@lru_cache(maxsize=1024)
def block_length(length: int) -> tuple[int, int]:
    """Choose K, so that the number of small operations is least: 3K for the blocks, the tail, and the carry.

    Args:
        length: L, number of steps, at least 1.

    Returns:
        K, in 1…L, and the number of operations, in steps of the recurrence.
    """
    if length <= _SHORT:
        return length, length
    largest = math.isqrt(length)
    candidates = range(max(2, largest // 8), largest + 1)
    best = min(candidates, key=lambda k: 3 * k + length % k + (length // k) ** 0.5)
    return best, 3 * best + length % best + block_length(length // best)[1]


def scan_blocked(a: Planes, b: Planes, h0: Planes | None, reverse: bool) -> Planes:
    """Run h_k = a_k h_{k-1} + b_k block-wise; arguments and result as `scan_reference`."""
    batch, length, width = b[0].shape
    out = tuple(plane.new_empty(batch, length, width) for plane in b)
    state = tuple(plane.new_zeros(batch, width) for plane in b) if h0 is None else h0
    if length <= _SHORT:
        _run(a, b, state, out, range(length), reverse)
        return out

    size = block_length(length)[0]
    cut = length // size * size
    # The tail, fewer than K steps that fill no block, comes last in the direction of the scan.
    main = slice(length - cut, length) if reverse else slice(cut)
    tail = range(length - cut) if reverse else range(cut, length)
    blocks_a, blocks_b, blocks_out = (
        tuple(plane[:, main].unflatten(1, (-1, size)).transpose(1, 2) for plane in planes) for planes in (a, b, out)
    )
    ends, products = _block_summaries(blocks_a, blocks_b, reverse)
    after = scan_blocked(products, ends, state, reverse)
    before_block = tuple(plane.new_empty(plane.shape) for plane in after)
    first, others, before = (-1, slice(-1), slice(1, None)) if reverse else (0, slice(1, None), slice(-1))
    for first_states, end, initial in zip(before_block, after, state, strict=True):
        first_states[:, first] = initial
        first_states[:, others] = end[:, before]
    _run(blocks_a, blocks_b, before_block, blocks_out, range(size), reverse)
    _run(a, b, tuple(plane[:, 0 if reverse else -1] for plane in after), out, tail, reverse)
    return out


def _steps(planes: Planes) -> list[Planes]:
    """Cut (B, K, …) into its K steps."""
    return list(zip(*(plane.unbind(1) for plane in planes), strict=True))


def _run(a: Planes, b: Planes, state: Planes, out: Planes, steps: range, reverse: bool) -> None:
    """Scan some of the steps of (B, K, …) from a state (B, …), all at once along the other axes, into `out`."""
    window = slice(steps.start, steps.stop)
    a_steps, b_steps, targets = (_steps(tuple(plane[:, window] for plane in planes)) for planes in (a, b, out))
    for k in reversed(range(len(steps))) if reverse else range(len(steps)):
        state = fma(a_steps[k], state, b_steps[k], out=targets[k])


def _block_summaries(a: Planes, b: Planes, reverse: bool) -> tuple[Planes, Planes]:
    """Return the end state from a zero start and the product of transitions of blocks (B, K, S, N), both (B, S, N)."""
    a_steps, b_steps = _steps(a), _steps(b)
    if reverse:
        a_steps, b_steps = a_steps[::-1], b_steps[::-1]
    ends, products = b_steps[0], a_steps[0]
    for a_step, b_step in zip(a_steps[1:], b_steps[1:], strict=True):
        ends = fma(a_step, ends, b_step)
        products = mul(a_step, products)
    return ends, products
