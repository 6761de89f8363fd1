"""`linear_scan`: checks its arguments, picks a backend, and hands real planes to the operator."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from lsm.errors import unknown_name
from lsm.scan.op import BACKENDS, HAS_NUMBA, HAS_TRITON, scan_planes
from lsm.scan.planes import Planes, result_dtype

Pair = tuple[Tensor, Tensor]
"""A complex tensor as two real ones: real part, imaginary part."""

Sequence = Tensor | Pair
"""A real tensor, a complex tensor, or a pair."""


@overload
def linear_scan(
    a: Tensor, b: Tensor, h0: Tensor | None = None, *, reverse: bool = False, backend: str = "auto"
) -> Tensor: ...
@overload
def linear_scan(
    a: Sequence, b: Pair, h0: Sequence | None = None, *, reverse: bool = False, backend: str = "auto"
) -> Pair: ...
@overload
def linear_scan(
    a: Pair, b: Sequence, h0: Sequence | None = None, *, reverse: bool = False, backend: str = "auto"
) -> Pair: ...
def linear_scan(
    a: Sequence, b: Sequence, h0: Sequence | None = None, *, reverse: bool = False, backend: str = "auto"
) -> Sequence:
    """Compute the states of the linear recurrence h_k = a_k ⊙ h_{k-1} + b_k along the second axis.

    Differentiable in `a`, `b` and `h0`. Numbers are real or complex; a complex sequence is a pair of real tensors,
    which autocast, export and every device understand, or a complex tensor. Halves are computed, and returned, in
    float32, also inside autocast.

    Args:
        a: Transitions, any shape that broadcasts to that of `b`, e.g. (N,) for ones that do not change.
        b: Inputs, (B, L, N), L at least 1.
        h0: State before the first step, (B, N) or a shape that broadcasts to it; zero by default.
        reverse: Start at the last position: h_k = a_k ⊙ h_{k+1} + b_k.
        backend: One of `BACKENDS`: "blocked" (plain torch, any device), "triton" (kernels for CUDA devices), "numba"
            (compiled loops for CPUs), "reference" (the time loop); or "auto": "triton" or "numba" where tensors and
            package are there for it, else "blocked".

    Returns:
        All L states, (B, L, N), contiguous; complex in the form in which `a` and `b` are given: a pair if one of them
        is a pair, a complex tensor if one of them is complex, else real.

    Raises:
        ValueError: On an unknown backend, one that cannot run where the tensors are, or a shape that does not fit.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise ValueError(unknown_name("scan backend", backend, ["auto", *BACKENDS]))
    sequences = [a, b] if h0 is None else [a, b, h0]
    as_pair = any(isinstance(item, tuple) for item in sequences)
    is_complex = as_pair or any(item.is_complex() for item in sequences if isinstance(item, Tensor))
    planes = [_split(item, is_complex) for item in sequences]
    shape = planes[1][0].shape
    if len(shape) != 3 or shape[1] < 1:
        raise ValueError(f"b must have shape (B, L, N) with L at least 1, not {tuple(shape)}.")
    planes[0] = _expand("a", planes[0], shape)
    if h0 is not None:
        planes[2] = _expand("h0", planes[2], torch.Size((shape[0], shape[2])))
    chosen = default_backend(planes[1][0].device) if backend == "auto" else backend
    if chosen != "triton":
        dtype = result_dtype(*(plane for item in planes for plane in item))
        planes = [tuple(plane.to(dtype) for plane in item) for item in planes]
    transition, inputs, *state = planes
    states = scan_planes(transition, inputs, state[0] if state else None, reverse, chosen)
    if as_pair:
        return states[0], states[1]
    return torch.complex(*states) if is_complex else states[0]


def default_backend(device: torch.device) -> str:
    """Name the fastest backend that is installed for a device."""
    if device.type == "cuda" and HAS_TRITON:
        return "triton"
    return "numba" if device.type == "cpu" and HAS_NUMBA else "blocked"


def _split(value: Sequence, is_complex: bool) -> Planes:
    """Return the planes of a sequence, as many as the whole computation has."""
    if isinstance(value, tuple):
        return value
    if value.is_complex():
        return value.real, value.imag
    return (value, torch.zeros_like(value)) if is_complex else (value,)


def _expand(name: str, planes: Planes, shape: torch.Size) -> Planes:
    """Broadcast planes to a shape, without a copy."""
    try:
        return tuple(plane.expand(shape) for plane in planes)
    except RuntimeError as error:
        raise ValueError(f"{name} has shape {tuple(planes[0].shape)}, which does not fit {tuple(shape)}.") from error
