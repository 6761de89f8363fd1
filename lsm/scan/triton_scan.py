"""The scan on a GPU: launches the kernels of `triton_kernels.py`.

1. Every chunk but the last is scanned from a zero state; its product of transitions and its last state are kept.
2. The states after the chunks are a scan of those, by this same function: at most log_chunk(L) levels, all but the
   first of them small.
3. Every chunk is scanned again from its true first state, and written.

Nothing waits for another program, so the association of the sums, and with it every bit, is the same in every run.

Bytes: the fewest of a float32 complex forward pass is 24 a step and state: a and b read, h written (12 for real
numbers, and less where `a` is broadcast, or in half precision). Pass 1 reads a and b a second time, 16 bytes more
unless they still lie in the cache of the chip, which holds the 8 MiB of L = 16,384, N = 32: memory far larger than
the cache is used at 24/40 of the copy bandwidth at most. The fewest of the backward pass is 40: a, h and ∂h read, ∂a
and ∂b written; with its pass 1 it is 56.
"""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from lsm.scan.planes import Planes, conj, mul, result_dtype
from lsm.scan.triton_kernels import gradients_kernel, states_kernel, summary_kernel

LANES = 32
"""Most states in a program: 128 bytes of float32, a whole line of the cache."""

TILE = 4096
"""Elements of a tile (chunk × lanes) in registers: 16 a thread with eight warps, of four numbers each."""

Strides = tuple[int, int, int]


def require_kernels(device: torch.device) -> None:
    """Check that kernels can run there.

    Raises:
        ValueError: On a device without Triton, unless its interpreter is on.
    """
    if device.type != "cuda" and isinstance(states_kernel, triton.runtime.JITFunction):
        raise ValueError(
            f"The scan backend 'triton' needs tensors on a CUDA device, not on {device}; choose another backend, "
            "or set TRITON_INTERPRET=1 before Python starts to run its kernels, slowly, on the CPU."
        )


def tile_shape(width: int, chunk: int | None = None) -> tuple[int, int]:
    """Choose the steps and the lanes of a program for N = `width` states; both are powers of two."""
    lanes = min(LANES, triton.next_power_of_2(width))
    return chunk or min(256, TILE // lanes), lanes


def scan_triton(a: Planes, b: Planes, h0: Planes | None, reverse: bool, chunk: int | None = None) -> Planes:
    """Run h_k = a_k h_{k-1} + b_k; arguments and result as `scan_reference`.

    Inputs may be halves, and of any strides; states are float32, or float64 for float64.

    Args:
        a: See `scan_reference`.
        b: See `scan_reference`.
        h0: See `scan_reference`.
        reverse: See `scan_reference`.
        chunk: Steps of a chunk, a power of two; chosen by N by default.
    """
    require_kernels(b[0].device)
    dtype = result_dtype(*a, *b, *(h0 or ()))
    batch, length, width = b[0].shape
    steps, lanes = tile_shape(width, chunk)
    out = tuple(plane.new_empty(batch, length, width, dtype=dtype) for plane in b)
    a, a_strides = uniform(a)
    b, b_strides = uniform(b)
    start = tuple(plane.contiguous() for plane in h0) if h0 is not None else out
    with torch.cuda.device_of(out[0]):
        after = _after_chunks(a, b, h0, reverse, False, steps, dtype)
        grid = (triton.cdiv(length, steps), triton.cdiv(width, lanes), batch)
        states_kernel[grid](
            *both(a), *a_strides, *both(b), *b_strides, *both(after), *both(start), *both(out), length, width,
            HAS_START=h0 is not None, REVERSE=reverse, COMPLEX=len(b) == 2, CHUNK=steps, LANES=lanes, num_warps=8,
        )  # fmt: skip
    return out


def scan_triton_backward(
    grad: Planes, a: Planes, h0: Planes | None, states: Planes, reverse: bool, chunk: int | None = None
) -> tuple[Planes, Planes, Planes | None]:
    """Compute the gradients of `scan_triton`.

    Args:
        grad: Gradient of the loss by the states, planes of shape (B, L, N).
        a: Transitions of the forward scan.
        h0: Initial state of the forward scan.
        states: Result of the forward scan.
        reverse: As in the forward scan.
        chunk: See `scan_triton`.

    Returns:
        ∂a in the type of `a`, ∂b in that of the states, both of shape (B, L, N); ∂h0, (B, N), if there was one.
    """
    require_kernels(grad[0].device)
    dtype = states[0].dtype
    batch, length, width = grad[0].shape
    steps, lanes = tile_shape(width, chunk)
    grad_a = tuple(plane.new_empty(batch, length, width) for plane in a)
    grad_b = tuple(torch.empty_like(plane) for plane in states)
    strided_a, a_strides = uniform(a)
    strided_grad, g_strides = uniform(grad)
    start = tuple(plane.contiguous() for plane in h0) if h0 is not None else states
    with torch.cuda.device_of(grad[0]):
        after = _after_chunks(strided_a, strided_grad, None, not reverse, True, steps, dtype)
        grid = (triton.cdiv(length, steps), triton.cdiv(width, lanes), batch)
        gradients_kernel[grid](
            *both(strided_a), *a_strides, *both(strided_grad), *g_strides, *both(states), *both(after), *both(start),
            *both(grad_a), *both(grad_b), length, width,
            HAS_START=h0 is not None, REVERSE=not reverse, COMPLEX=len(a) == 2, CHUNK=steps, LANES=lanes, num_warps=8,
        )  # fmt: skip
    first = -1 if reverse else 0
    grad_h0 = mul(conj(tuple(p[:, first].to(dtype) for p in a)), tuple(p[:, first] for p in grad_b)) if h0 else None
    return grad_a, grad_b, grad_h0


def _after_chunks(
    a: Planes, b: Planes, h0: Planes | None, reverse: bool, backward: bool, steps: int, dtype: torch.dtype
) -> Planes:
    """Compute the states after all chunks but the last, planes of shape (B, chunks − 1, N)."""
    batch, length, width = b[0].shape
    chunks = triton.cdiv(length, steps) - 1
    products, ends = (tuple(p.new_empty(batch, chunks, width, dtype=dtype) for p in b) for _ in range(2))
    if chunks == 0:
        return ends
    lanes = tile_shape(width)[1]
    summary_kernel[(chunks, triton.cdiv(width, lanes), batch)](
        *both(a), *uniform(a)[1], *both(b), *uniform(b)[1], *both(products), *both(ends), length, width,
        BACKWARD=backward, REVERSE=reverse, COMPLEX=len(b) == 2, CHUNK=steps, LANES=lanes, num_warps=8,
    )  # fmt: skip
    return scan_triton(products, ends, h0, False, steps)


def both(planes: Planes) -> tuple[Tensor, Tensor]:
    """Return two planes for a kernel, which does not touch the second of a real number."""
    return planes[0], planes[-1]


def uniform(planes: Planes) -> tuple[Planes, Strides]:
    """Make the planes of (B, L, N) have the same strides, and say which."""
    if len({plane.stride() for plane in planes}) > 1:
        planes = tuple(plane.contiguous() for plane in planes)
    first, second, third = planes[0].stride()
    return planes, (first, second, third)
