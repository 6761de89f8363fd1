"""The gradient of the scan by its GPU kernels, as an operator of torch: `lsm::linear_scan_backward`.

One pass reads a, h and ∂h and writes ∂a and ∂b, where the composition of torch operations in `op.py` also shifts,
conjugates, multiplies and joins copies. It has no gradient itself; second derivatives take the composition.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsm.scan.planes import Planes

Gradients = tuple[Tensor, Tensor | None, Tensor, Tensor | None, Tensor | None, Tensor | None]
"""∂a, ∂b and ∂h0, two planes each; None where there is none."""


def scan_gradients(grad: Planes, a: Planes, h0: Planes | None, states: Planes, reverse: bool) -> Gradients:
    """Compute the gradients of the scan, from planes as `scan_triton_backward` takes them."""
    is_complex = len(a) == 2
    (g_re, g_im), (a_re, a_im), (s_re, s_im) = ((p[0], p[1] if is_complex else None) for p in (grad, a, states))
    h_re, h_im = (None, None) if h0 is None else (h0[0], h0[1] if is_complex else None)
    da_re, da_im, db_re, db_im, dh_re, dh_im = _backward_op(g_re, g_im, a_re, a_im, h_re, h_im, s_re, s_im, reverse)
    return (
        da_re,
        da_im if is_complex else None,
        db_re,
        db_im if is_complex else None,
        dh_re if h0 is not None else None,
        dh_im if h0 is not None and is_complex else None,
    )


@torch.library.custom_op("lsm::linear_scan_backward", mutates_args=())
def _backward_op(
    g_re: Tensor,
    g_im: Tensor | None,
    a_re: Tensor,
    a_im: Tensor | None,
    h_re: Tensor | None,
    h_im: Tensor | None,
    s_re: Tensor,
    s_im: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run the kernels; outputs that do not exist are empty."""
    from lsm.scan.triton_scan import scan_triton_backward

    def pack(re: Tensor, im: Tensor | None) -> Planes:
        return (re,) if im is None else (re, im)

    h0 = None if h_re is None else pack(h_re, h_im)
    da, db, dh = scan_triton_backward(pack(g_re, g_im), pack(a_re, a_im), h0, pack(s_re, s_im), reverse)
    missing = [plane.new_empty(0) for plane in (a_re, s_re, s_re, s_re)]  # each its own: outputs may not alias
    return (
        da[0],
        da[1] if a_im is not None else missing[0],
        db[0],
        db[1] if a_im is not None else missing[1],
        dh[0] if dh is not None else missing[2],
        dh[1] if dh is not None and a_im is not None else missing[3],
    )


@_backward_op.register_fake
def _fake(
    g_re: Tensor,
    g_im: Tensor | None,
    a_re: Tensor,
    a_im: Tensor | None,
    h_re: Tensor | None,
    h_im: Tensor | None,
    s_re: Tensor,
    s_im: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch, length, width = s_re.shape

    def like(plane: Tensor | None, source: Tensor) -> Tensor:
        return source.new_empty(0) if plane is None else source.new_empty(batch, length, width)

    states = [s_re.new_empty(0) if plane is None else s_re.new_empty(batch, width) for plane in (h_re, h_im)]
    return like(a_re, a_re), like(a_im, a_re), like(s_re, s_re), like(s_im, s_re), states[0], states[1]
