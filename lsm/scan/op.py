"""The scan as one operator of torch, `lsm::linear_scan`, with its gradient: the same scan, run backwards.

One operator means that torch.compile and torch.export see one node, that no graph grows over time, and that memory in
training is the inputs and the output.

With g_k the gradient of the loss by h_k through all later steps (a real function of two planes),
    g_k = ∂loss/∂h_k + conj(a_{k+1}) g_{k+1},   ∂b_k = g_k,   ∂a_k = g_k conj(h_{k-1}),   ∂h_0 = conj(a_1) g_1.
"""

import importlib.util
from typing import Any

import torch
from torch import Tensor

from lsm.scan.blocked import scan_blocked
from lsm.scan.planes import Planes, conj, mul, result_dtype
from lsm.scan.reference import scan_reference
from lsm.scan.torch_version import TORCH_26
from lsm.scan.triton_backward import scan_gradients
from lsm.version import install_command

# Triton 3.2 imports setuptools without asking for it, and before Python 3.12 torch does not either.
HAS_TRITON = all(importlib.util.find_spec(name) for name in ("triton", *(("setuptools",) if TORCH_26 else ())))
HAS_NUMBA = importlib.util.find_spec("numba") is not None


def _scan_triton(a: Planes, b: Planes, h0: Planes | None, reverse: bool) -> Planes:
    """Run the GPU kernels; they load only here, as Triton takes its time."""
    if not HAS_TRITON:
        needed = "the packages triton and setuptools" if TORCH_26 else "the package triton"
        raise ValueError(
            f"The scan backend 'triton' needs {needed}; install what is missing, or choose another backend."
        )
    from lsm.scan.triton_scan import scan_triton

    return scan_triton(a, b, h0, reverse)


def _scan_numba(a: Planes, b: Planes, h0: Planes | None, reverse: bool) -> Planes:
    """Run the compiled loops; their compiler loads only here, as it takes its time."""
    if not HAS_NUMBA:
        raise ValueError(f"The scan backend 'numba' needs the package numba: {install_command('fast')}.")
    from lsm.scan.numba_scan import scan_numba

    return scan_numba(a, b, h0, reverse)


BACKENDS = {"reference": scan_reference, "blocked": scan_blocked, "numba": _scan_numba, "triton": _scan_triton}
"""Each takes planes of a, b and h0 of one type, at least float32; "triton" takes halves too, and reads them as such."""


@torch.library.custom_op("lsm::linear_scan", mutates_args=())
def scan_op(
    a_re: Tensor,
    a_im: Tensor | None,
    b_re: Tensor,
    b_im: Tensor | None,
    h_re: Tensor | None,
    h_im: Tensor | None,
    reverse: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    """Scan planes of shape (B, L, N); the second output is empty for real numbers."""
    states = BACKENDS[backend](_pack(a_re, a_im), _pack(b_re, b_im), _pack_state(h_re, h_im), reverse)
    return states[0], states[1] if len(states) == 2 else states[0].new_empty(0)


@scan_op.register_fake
def _fake(
    a_re: Tensor,
    a_im: Tensor | None,
    b_re: Tensor,
    b_im: Tensor | None,
    h_re: Tensor | None,
    h_im: Tensor | None,
    reverse: bool,
    backend: str,
) -> tuple[Tensor, Tensor]:
    dtype = result_dtype(a_re, a_im, b_re, b_im, h_re, h_im)
    states = torch.empty_like(b_re, dtype=dtype, memory_format=torch.contiguous_format)
    return states, states.new_empty(0) if b_im is None else torch.empty_like(states)


def scan_planes(a: Planes, b: Planes, h0: Planes | None, reverse: bool, backend: str) -> Planes:
    """Call the operator on planes of shape (B, L, N) and a state of shape (B, N)."""
    a_im, b_im = (a[1], b[1]) if len(b) == 2 else (None, None)
    h_re, h_im = (None, None) if h0 is None else (h0[0], h0[1] if len(h0) == 2 else None)
    states = scan_op(a[0], a_im, b[0], b_im, h_re, h_im, reverse, backend)
    return states if len(b) == 2 else states[:1]


def _pack(re: Tensor, im: Tensor | None) -> Planes:
    return (re,) if im is None else (re, im)


def _pack_state(re: Tensor | None, im: Tensor | None) -> Planes | None:
    return None if re is None else _pack(re, im)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    a_re, a_im, _, _, h_re, h_im, ctx.reverse, ctx.backend = inputs
    ctx.save_for_backward(a_re, a_im, h_re, h_im, *output)


def _backward(ctx: Any, grad_re: Tensor, grad_im: Tensor) -> tuple[Tensor | None, ...]:
    a_re, a_im, h_re, h_im, s_re, s_im = ctx.saved_tensors
    a, h0 = _pack(a_re, a_im), _pack_state(h_re, h_im)
    states: Planes = (s_re,) if a_im is None else (s_re, s_im)
    grad: Planes = (grad_re,) if a_im is None else (grad_re, grad_im)
    if ctx.backend == "triton" and not torch.is_grad_enabled():
        return *scan_gradients(grad, a, h0, states, ctx.reverse), None, None
    a, h0 = _promote(a, states[0].dtype), None if h0 is None else _promote(h0, states[0].dtype)
    total = _reverse_scan(a, grad, ctx.reverse, ctx.backend)

    first, others, before = (-1, slice(None, -1), slice(1, None)) if ctx.reverse else (0, slice(1, None), slice(-1))
    grad_first = tuple(plane[:, first] for plane in total)
    rest = mul(tuple(p[:, others] for p in total), conj(tuple(s[:, before] for s in states)))
    head = mul(grad_first, conj(h0)) if h0 is not None else tuple(torch.zeros_like(p) for p in grad_first)
    parts = [(r, h[:, None]) if ctx.reverse else (h[:, None], r) for r, h in zip(rest, head, strict=True)]
    grad_a = tuple(torch.cat(pair, dim=1) for pair in parts)
    grad_h0 = mul(conj(tuple(plane[:, first] for plane in a)), grad_first) if h0 is not None else (None, None)

    def second(planes: tuple[Any, ...]) -> Tensor | None:
        return planes[1] if len(planes) == 2 else None

    return grad_a[0], second(grad_a), total[0], second(total), grad_h0[0], second(grad_h0), None, None


def _promote(planes: Planes, dtype: torch.dtype) -> Planes:
    return tuple(plane.to(dtype) for plane in planes)


def _reverse_scan(a: Planes, grad: Planes, reverse: bool, backend: str) -> Planes:
    """Accumulate g against the direction of the forward scan; its transitions are `a`, shifted by one step."""
    if grad[0].shape[1] == 1:
        return grad
    last, rest, shifted = (0, slice(1, None), slice(-1)) if reverse else (-1, slice(-1), slice(1, None))
    end = tuple(plane[:, last] for plane in grad)
    g = scan_planes(
        conj(tuple(plane[:, shifted] for plane in a)), tuple(p[:, rest] for p in grad), end, not reverse, backend
    )
    pairs = [(e[:, None], p) if reverse else (p, e[:, None]) for e, p in zip(end, g, strict=True)]
    return tuple(torch.cat(pair, dim=1) for pair in pairs)


scan_op.register_autograd(_backward, setup_context=_setup_context)
