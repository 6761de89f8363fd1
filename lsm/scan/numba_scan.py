"""The scan as one compiled loop for CPUs: every number is read once and written once, and the state stays in the cache.

Each channel is the recurrence itself, step by step, in multiplications and additions that are not fused, so results do
not depend on the number of threads, on how wide the processor's vectors are, or on the other channels. One thread is
as fast as the memory, so there are no others; Python's lock is free meanwhile.

The package numba compiles the loops at their first call and keeps the machine code beside this file, or, where that
folder cannot be written to, in the user's cache folder (or the one that `NUMBA_CACHE_DIR` names).
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import torch
from numba import uint64
from torch import Tensor

from lsm.scan.planes import Planes

Strides = tuple[int, int]
"""Distance in numbers between two sequences of a batch, and between two steps; 0 where they are the same numbers."""


def compiled(function: Callable) -> Callable:
    """Compile at the first call, and keep the result where a folder can be written to."""
    try:
        return numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # numba found no folder for its cache
        return numba.njit(function, nogil=True)


# Unsigned indices: numba then need not ask whether they count from the end, and the inner loops become vector code.
def _scan_real(
    a: np.ndarray, a_strides: Strides, b: np.ndarray, b_strides: Strides, h: np.ndarray, out: np.ndarray,
    length: int, reverse: bool,
) -> None:  # fmt: skip
    """Scan flat arrays into `out`, (B, L, N) flat; `h`, (B, N), is the state, and is overwritten."""
    width = h.shape[1]
    for batch in range(h.shape[0]):
        state = h[batch]
        for step in range(length):
            k = length - 1 - step if reverse else step
            at_a = uint64(batch * a_strides[0] + k * a_strides[1])
            at_b = uint64(batch * b_strides[0] + k * b_strides[1])
            at = uint64((batch * length + k) * width)
            for n in range(uint64(width)):
                value = a[at_a + n] * state[n] + b[at_b + n]
                state[n] = value
                out[at + n] = value


def _scan_complex(
    a_re: np.ndarray, a_im: np.ndarray, a_strides: Strides, b_re: np.ndarray, b_im: np.ndarray, b_strides: Strides,
    h_re: np.ndarray, h_im: np.ndarray, out_re: np.ndarray, out_im: np.ndarray, length: int, reverse: bool,
) -> None:  # fmt: skip
    """Scan two planes as `_scan_real` scans one."""
    width = h_re.shape[1]
    for batch in range(h_re.shape[0]):
        state_re, state_im = h_re[batch], h_im[batch]
        for step in range(length):
            k = length - 1 - step if reverse else step
            at_a = uint64(batch * a_strides[0] + k * a_strides[1])
            at_b = uint64(batch * b_strides[0] + k * b_strides[1])
            at = uint64((batch * length + k) * width)
            for n in range(uint64(width)):
                x, y = state_re[n], state_im[n]
                re = a_re[at_a + n] * x - a_im[at_a + n] * y + b_re[at_b + n]
                im = a_re[at_a + n] * y + a_im[at_a + n] * x + b_im[at_b + n]
                state_re[n], state_im[n] = re, im
                out_re[at + n], out_im[at + n] = re, im


_REAL, _COMPLEX = compiled(_scan_real), compiled(_scan_complex)


def scan_numba(a: Planes, b: Planes, h0: Planes | None, reverse: bool) -> Planes:
    """Run h_k = a_k h_{k-1} + b_k in compiled loops; arguments and result as `scan_reference`, on a CPU.

    Raises:
        ValueError: If the tensors are on another device, or neither float32 nor float64.
    """
    batch, length, width = b[0].shape
    if b[0].device.type != "cpu" or b[0].dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"The scan backend 'numba' takes float32 and float64 on CPUs, not {b[0].dtype} on {b[0].device}."
        )
    out = tuple(plane.new_empty(batch, length, width) for plane in b)
    if h0 is None:
        state = [np.zeros((batch, width), plane.detach()[:0].numpy().dtype) for plane in b]
    else:
        state = [plane.detach().resolve_neg().numpy().copy() for plane in h0]
    (flat_a, a_strides), (flat_b, b_strides) = flat(a), flat(b)
    flat_out = [plane.view(-1).numpy() for plane in out]
    if len(b) == 1:
        _REAL(flat_a[0], a_strides, flat_b[0], b_strides, state[0], flat_out[0], length, reverse)
    else:
        _COMPLEX(*flat_a, a_strides, *flat_b, b_strides, *state, *flat_out, length, reverse)
    return out


def flat(planes: Planes) -> tuple[list[np.ndarray], Strides]:
    """View planes (B, L, N) as flat arrays with common strides; only neighbours in N must be neighbours in memory."""
    planes = tuple(plane.detach().resolve_neg() for plane in planes)
    strides = planes[0].stride()
    if (strides[2] != 1 and planes[0].shape[2] > 1) or any(plane.stride() != strides for plane in planes):
        planes = tuple(plane.contiguous() for plane in planes)
        strides = planes[0].stride()
    return [_as_flat(plane) for plane in planes], (strides[0], strides[1])


def _as_flat(plane: Tensor) -> np.ndarray:
    span = sum((size - 1) * stride for size, stride in zip(plane.shape, plane.stride(), strict=True)) + 1
    return plane.as_strided((span,), (1,)).numpy()
