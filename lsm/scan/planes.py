"""Real and complex numbers as a tuple of one or two real tensors ("planes").

Complex tensors are unknown to autocast, to ONNX and to some devices; two real tensors are known everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

Planes = tuple[Tensor, ...]
"""`(real,)` or `(real, imaginary)`, tensors of one shape."""


def fma(a: Planes, h: Planes, b: Planes, out: Planes | None = None) -> Planes:
    """Compute a·h + b, element by element.

    Args:
        a: Factor, one or two planes.
        h: Factor, as many planes as `a`.
        b: Summand, as many planes as `a`.
        out: Where to write; may be `h` only for real numbers. New tensors by default.

    Returns:
        The result, `out` itself if given.
    """
    if len(a) == 1:
        target = (torch.empty_like(h[0]),) if out is None else out
        torch.addcmul(b[0], a[0], h[0], out=target[0])
        return target
    target = (torch.empty_like(h[0]), torch.empty_like(h[1])) if out is None else out
    torch.addcmul(b[0], a[0], h[0], out=target[0]).addcmul_(a[1], h[1], value=-1)
    torch.addcmul(b[1], a[0], h[1], out=target[1]).addcmul_(a[1], h[0])
    return target


def mul(a: Planes, h: Planes) -> Planes:
    """Compute a·h, element by element, into new tensors."""
    if len(a) == 1:
        return (a[0] * h[0],)
    return (a[0] * h[0]).addcmul_(a[1], h[1], value=-1), (a[0] * h[1]).addcmul_(a[1], h[0])


def conj(a: Planes) -> Planes:
    """Return the complex conjugate; a real number is its own."""
    return a if len(a) == 1 else (a[0], -a[1])


def result_dtype(*tensors: Tensor | None) -> torch.dtype:
    """Return the dtype in which a scan of such tensors is computed: at least float32."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = dtype if tensor is None else torch.promote_types(dtype, tensor.dtype)
    return dtype
