"""Half precision in an ONNX graph: matrix products and convolutions, and the numbers that are stored for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

PRODUCTS = ("MatMul", "Gemm", "Conv")


def store_halves(graph: Any, whole: Collection[str] = ()) -> None:
    """Compute products in float16 and all else, norms, softmax, scan, residual stream, input, output, in float32.

    This is the division of labour of torch's autocast. Matrices and kernels are stored in float16; they must be numbers
    that it can hold, so that nothing is lost.

    Args:
        graph: An `onnx_ir.Graph` in float32; changed in place.
        whole: Names of stored numbers whose products stay in float32.
    """
    import onnx_ir as ir

    for node in list(graph):
        if node.op_type in PRODUCTS and not any(value is not None and value.name in whole for value in node.inputs):
            _compute_in_half(graph, node)
    for name, value in list(graph.initializers.items()):
        stored = value.const_value
        if stored is None or stored.dtype != ir.DataType.FLOAT or len(stored.shape) < 2:
            continue
        numbers = stored.numpy()
        halves = numbers.astype(np.float16)
        if (halves.astype(np.float32) == numbers).all():
            tensor = ir.tensor(halves, name=f"{name}_half")
            half = ir.Value(name=tensor.name, type=ir.TensorType(tensor.dtype), shape=tensor.shape, const_value=tensor)
            graph.initializers.add(half)
            node = ir.node("Cast", [half], {"to": int(ir.DataType.FLOAT)})
            graph.insert_before(graph[0], node)
            _replace_uses(value, node.outputs[0])
            del graph.initializers[name]


def _compute_in_half(graph: Any, node: Any) -> None:
    """Cast the inputs of a node to half, and its output back."""
    import onnx_ir as ir

    for index, value in enumerate(node.inputs):
        if value is not None:
            cast = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT16)})
            graph.insert_before(node, cast)
            node.replace_input_with(index, cast.outputs[0])
    result = node.outputs[0]
    back = ir.node("Cast", [result], {"to": int(ir.DataType.FLOAT)})
    _replace_uses(result, back.outputs[0])
    back.replace_input_with(0, result)
    graph.insert_after(node, back)
    result.dtype = ir.DataType.FLOAT16


def _replace_uses(old: Any, new: Any) -> None:
    for user, index in list(old.uses()):
        user.replace_input_with(index, new)
