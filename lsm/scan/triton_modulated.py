"""The modulated scan on a GPU: launches the kernels of `triton_modulated_kernels.py`, as `triton_scan.py` does its own.

Bytes, float32, a step and state, without those of the order (8 a step): the fewest of the forward pass are 32, six
numbers read (u, m and the three gates) and two written; the summaries read u, m and M_B once more, 16 bytes, unless
they still lie in the cache. The same in plain torch takes 180: products, their reordering, transitions, states,
the way back and the readout each go through memory. The fewest of the backward pass are 56: eight numbers read, six
written, and 20 more for its summaries. Kept for it: the inputs, and one state a chunk.
"""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from lsm.scan.planes import Planes, result_dtype
from lsm.scan.triton_modulated_kernels import (
    gradient_summary_kernel,
    gradients_kernel,
    output_kernel,
    summary_kernel,
)
from lsm.scan.triton_scan import both, require_kernels, scan_triton, tile_shape

TILE = 2048
"""Elements of a tile (chunk × lanes), 8 a thread with eight warps; the gradient holds some 15 numbers of each."""


def chunk_shape(width: int) -> tuple[int, int]:
    """Choose the steps and the lanes of a program for N = `width` states."""
    lanes = tile_shape(width)[1]
    return min(128, TILE // lanes), lanes


def run_forward(
    inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor, order: Tensor | None, reverse: bool
) -> tuple[Tensor, Planes]:
    """Compute y and the states after all chunks but the last.

    Args:
        inputs: u, (B, L, 2N): real parts, imaginary parts.
        decay: m, (B, L, N).
        gates: M_B, M_Cre, M_Cim, (B, L, 3N).
        phase: ρ, (2, N).
        order: Permutation of the positions, (B, L) or (1, L) int64; None for their own order.
        reverse: Start at the last position of the order.

    Returns:
        y in the type of `inputs`, (B, L, 2N), and planes of shape (B, chunks − 1, N), float32 or float64.
    """
    require_kernels(inputs.device)
    batch, length, width = decay.shape
    steps, lanes = chunk_shape(width)
    chunks = triton.cdiv(length, steps)
    summaries = _summaries(inputs, result_dtype(inputs, decay, gates, phase), (batch, chunks - 1, width))
    tokens = (*rows(inputs), *rows(decay), *rows(gates), phase.contiguous(), *_order(order, inputs))
    options = {"HAS_ORDER": order is not None, "REVERSE": reverse, "CHUNK": steps, "LANES": lanes, "num_warps": 8}
    blocks = triton.cdiv(width, lanes)
    y = inputs.new_empty(batch, length, 2 * width)
    with torch.cuda.device_of(inputs):
        after: Planes = summaries[2:]
        if chunks > 1:
            summary_kernel[(chunks - 1, blocks, batch)](*tokens, *summaries, length, width, **options)
            after = scan_triton(summaries[:2], summaries[2:], None, False)
        output_kernel[(chunks, blocks, batch)](*tokens, *both(after), y, length, width, **options)
    return y, after


def run_backward(
    grad: Tensor,
    inputs: Tensor,
    decay: Tensor,
    gates: Tensor,
    phase: Tensor,
    order: Tensor | None,
    after: Planes,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the gradients of `run_forward`, whose arguments and states `after` the chunks these are.

    Returns:
        ∂inputs, ∂decay, ∂gates and ∂phase, contiguous, in the types of those.
    """
    batch, length, width = decay.shape
    steps, lanes = chunk_shape(width)
    chunks = triton.cdiv(length, steps)
    grad = grad.contiguous()
    summaries = _summaries(inputs, after[0].dtype, (batch, chunks - 1, width))
    scanned = (*rows(decay), *rows(gates), phase.contiguous(), *_order(order, inputs))
    options = {"HAS_ORDER": order is not None, "REVERSE": reverse, "CHUNK": steps, "LANES": lanes, "num_warps": 8}
    blocks = triton.cdiv(width, lanes)
    du, dm, dgates = (item.new_empty(item.shape) for item in (inputs, decay, gates))
    terms = after[0].new_empty(batch, chunks, 2, width)
    with torch.cuda.device_of(inputs):
        first: Planes = summaries[2:]
        if chunks > 1:
            gradient_summary_kernel[(chunks - 1, blocks, batch)](grad, *scanned, *summaries, length, width, **options)
            first = scan_triton(summaries[:2], summaries[2:], None, True)
        gradients_kernel[(chunks, blocks, batch)](
            grad, *rows(inputs), *scanned, *both(after), *both(first), du, dm, dgates, terms, length, width, **options
        )
    return du, dm, dgates, terms.sum(dim=(0, 1)).to(phase.dtype)


def rows(tokens: Tensor) -> tuple[Tensor, int]:
    """Return (B, L, …) as a matrix of B·L rows, and their stride; copied only if it is not one."""
    batch_stride, stride, last = tokens.stride()
    if last != 1 or (tokens.shape[0] > 1 and batch_stride != stride * tokens.shape[1]):
        tokens = tokens.contiguous()
    return tokens, tokens.stride(1)


def _order(order: Tensor | None, other: Tensor) -> tuple[Tensor, int]:
    """Return the order, or another tensor in its place, and its stride from image to image."""
    return (other, 0) if order is None else (order.contiguous(), order.shape[1] if order.shape[0] > 1 else 0)


def _summaries(like: Tensor, dtype: torch.dtype, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Allocate the products and the last states of chunks, two planes each."""
    first, second, third, fourth = (like.new_empty(shape, dtype=dtype) for _ in range(4))
    return first, second, third, fourth
