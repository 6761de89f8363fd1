"""What the network does that ONNX has no operator for, in standard operators of real numbers: the scan, a stable sort.

The scan is the blocked one of `lsm.scan.blocked`. A single ONNX `Scan` over all L steps gives the same numbers, but a
runtime spends about 30 µs a step: 557 ms for 16,384 steps against 42 ms here (onnxruntime 1.31, one thread of a CPU).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

DOMAIN = "lsm"
"""Of the functions below; they are inlined, so that no finished file names it."""

_PRODUCT = """
    {0}rr = Mul({1}_re, {2}_re)
    {0}ii = Mul({1}_im, {2}_im)
    {0}ri = Mul({1}_re, {2}_im)
    {0}ir = Mul({1}_im, {2}_re)
    {0}_re = Sub({0}rr, {0}ii)
    {0}_im = Add({0}ri, {0}ir)
"""
"""Complex {0} = {1} · {2}."""

_STEP = (
    _PRODUCT.format("xh", "x", "h")
    + """
    g_re = Add(xh_re, u_re)
    g_im = Add(xh_im, u_im)
"""
)
"""A step of the recurrence: complex g = x · h + u."""

LINEAR_SCAN = (
    """
<domain: "lsm", opset_import: ["": 18]>
LinearScan (a_re, a_im, b_re, b_im) => (h_re, h_im)
{
    zero = Constant<value_ints=[0]>()
    one = Constant<value_ints=[1]>()
    two = Constant<value_ints=[2]>()
    nought = Constant<value_floats=[0.0]>()
    unit = Constant<value_floats=[1.0]>()
    batch = Shape<start=0, end=1>(b_re)
    length = Shape<start=1, end=2>(b_re)
    width = Shape<start=2, end=3>(b_re)

    length_float = Cast<to=1>(length)
    root = Sqrt(length_float)
    steps = Cast<to=7>(root)
    up = Add(length, steps)
    below = Sub(up, one)
    blocks = Div(below, steps)
    padded = Mul(blocks, steps)
    missing = Sub(padded, length)
    pads = Concat<axis=0>(zero, zero, zero, zero, missing, zero)
    grid = Concat<axis=0>(batch, blocks, steps, width)
"""
    + "".join(
        f"{x}_pad = Pad({x}, pads)\n{x}_grid = Reshape({x}_pad, grid)\n" for x in ("a_re", "a_im", "b_re", "b_im")
    )
    + """
    heads = Concat<axis=0>(batch, blocks, width)
    zeros = Expand(nought, heads)
    ones = Expand(unit, heads)
    end_re, end_im, product_re, product_im, inner_re, inner_im, decay_re, decay_im = Scan<
        num_scan_inputs = 4, scan_input_axes = [2, 2, 2, 2], scan_output_axes = [2, 2, 2, 2],
        body = blocks_step (
            float[B, S, N] h_re, float[B, S, N] h_im, float[B, S, N] p_re, float[B, S, N] p_im,
            float[B, S, N] x_re, float[B, S, N] x_im, float[B, S, N] u_re, float[B, S, N] u_im
        ) => (
            float[B, S, N] g_re, float[B, S, N] g_im, float[B, S, N] q_re, float[B, S, N] q_im,
            float[B, S, N] out_re, float[B, S, N] out_im, float[B, S, N] all_re, float[B, S, N] all_im
        ) {
"""
    + _STEP
    + _PRODUCT.format("q", "x", "p")
    + """
            out_re = Identity(g_re)
            out_im = Identity(g_im)
            all_re = Identity(q_re)
            all_im = Identity(q_im)
        }
    > (zeros, zeros, ones, zeros, a_re_grid, a_im_grid, b_re_grid, b_im_grid)

    head = Concat<axis=0>(batch, width)
    state = Expand(nought, head)
    last_re, last_im, start_re, start_im = Scan<
        num_scan_inputs = 4, scan_input_axes = [1, 1, 1, 1], scan_output_axes = [1, 1],
        body = carry (
            float[B, N] h_re, float[B, N] h_im,
            float[B, N] x_re, float[B, N] x_im, float[B, N] u_re, float[B, N] u_im
        ) => (float[B, N] g_re, float[B, N] g_im, float[B, N] before_re, float[B, N] before_im) {
"""
    + _STEP
    + """
            before_re = Identity(h_re)
            before_im = Identity(h_im)
        }
    > (state, state, product_re, product_im, end_re, end_im)

    s_re = Unsqueeze(start_re, two)
    s_im = Unsqueeze(start_im, two)
"""
    + _PRODUCT.format("ds", "decay", "s")
    + """
    sum_re = Add(ds_re, inner_re)
    sum_im = Add(ds_im, inner_im)
    flat = Concat<axis=0>(batch, padded, width)
    flat_re = Reshape(sum_re, flat)
    flat_im = Reshape(sum_im, flat)
    h_re = Slice(flat_re, zero, length, one)
    h_im = Slice(flat_im, zero, length, one)
}
"""
)
"""h_k = a_k h_{k-1} + b_k over axis 1 of (B, L, N), as S = ⌈L/K⌉ blocks of K = ⌊√L⌋ steps.

All blocks at once from a zero state, with the products of their transitions; the states from block to block; then each
state by h = inner + decay·start.
"""

_ARGUMENTS, _RESULTS = ("a_re", "a_im", "b_re", "b_im"), ("h_re", "h_im")


def functions() -> list[Any]:
    """Return the functions that translated graphs call, as `onnx_ir` has them."""
    import onnx_ir
    from onnx import parser

    return [onnx_ir.from_proto(parser.parse_function(LINEAR_SCAN))]


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Map operators of torch to functions that write them as ONNX, for `torch.onnx.export`."""
    from onnxscript import opset18 as op

    scan = _scan_node()

    def backwards(sequence: Any) -> Any:
        return op.Slice(sequence, [-1], [torch.iinfo(torch.int64).min], [1], [-1])

    def linear_scan(
        a_re: Any, a_im: Any, b_re: Any, b_im: Any, h_re: Any, h_im: Any, reverse: bool, backend: str
    ) -> Any:
        """Complex, from a zero state, as all scans of the network are."""
        if a_im is None or h_re is not None:
            raise NotImplementedError("Only complex scans from a zero state have a translation to ONNX.")
        planes = [backwards(plane) if reverse else plane for plane in (a_re, a_im, b_re, b_im)]
        states = scan(*planes)
        return tuple(backwards(plane) if reverse else plane for plane in states)

    def stable_sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        """Whole numbers ascending along the last axis. TopK keeps no order among equals, so none are equal."""
        length = op.Shape(values, start=-1)
        scalar = op.Squeeze(length)
        place = op.Range(op.Constant(value_int=0), scalar, op.Constant(value_int=1))
        keys, _ = op.TopK(op.Add(op.Mul(values, scalar), place), length, axis=-1, largest=0)
        return op.Div(keys, scalar), op.Mod(keys, scalar)

    return {torch.ops.lsm.linear_scan.default: linear_scan, torch.ops.aten.sort.stable: stable_sort}


def _scan_node() -> Callable[..., Any]:
    """Return what writes a call of `LINEAR_SCAN` into the graph under construction."""
    from onnx.defs import OpSchema
    from onnxscript.values import Op, Opset

    parameters = [[OpSchema.FormalParameter(name, "T") for name in names] for names in (_ARGUMENTS, _RESULTS)]
    schema = OpSchema(
        "LinearScan",
        DOMAIN,
        1,
        inputs=parameters[0],
        outputs=parameters[1],
        type_constraints=[("T", ["tensor(float)"], "float32")],
    )
    return Op(Opset(DOMAIN, 1), "LinearScan", schema)
