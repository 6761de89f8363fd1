"""The modulated scan as operators of torch: kernels with their gradient, and a loop for CPUs, which has none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lsm.scan.planes import result_dtype


def _carries(drive: Tensor, memory: Tensor, gates: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
    """Give the shapes of the states that are kept; how many is known where the kernels are."""
    from lsm.scan.triton_modulated import chunk_shape

    batch, length, width = memory.shape
    chunks = (length + chunk_shape(width)[0] - 1) // chunk_shape(width)[0]
    dtype = result_dtype(drive, memory, gates, rotation)
    first, second = (drive.new_empty(batch, chunks - 1, width, dtype=dtype) for _ in range(2))
    return first, second


@torch.library.custom_op("lsm::modulated_scan", mutates_args=())
def modulated_scan_op(
    drive: Tensor, memory: Tensor, gates: Tensor, rotation: Tensor, order: Tensor | None, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y and the two planes of the states between chunks, as `lsm.scan.triton_modulated.run_forward` does."""
    from lsm.scan.triton_modulated import run_forward

    y, (re, im) = run_forward(drive, memory, gates, rotation, order, reverse)
    return y, re, im


@modulated_scan_op.register_fake
def _fake(
    drive: Tensor, memory: Tensor, gates: Tensor, rotation: Tensor, order: Tensor | None, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return (drive.new_empty(drive.shape), *_carries(drive, memory, gates, rotation))


@torch.library.custom_op("lsm::modulated_scan_backward", mutates_args=())
def _backward_op(
    grad: Tensor,
    drive: Tensor,
    memory: Tensor,
    gates: Tensor,
    rotation: Tensor,
    order: Tensor | None,
    after_re: Tensor,
    after_im: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from lsm.scan.triton_modulated import run_backward

    return run_backward(grad, drive, memory, gates, rotation, order, (after_re, after_im), reverse)


@_backward_op.register_fake
def _fake_backward(
    grad: Tensor,
    drive: Tensor,
    memory: Tensor,
    gates: Tensor,
    rotation: Tensor,
    order: Tensor | None,
    after_re: Tensor,
    after_im: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    du, dm, dgates, drotation = (item.new_empty(item.shape) for item in (drive, memory, gates, rotation))
    return du, dm, dgates, drotation


@torch.library.custom_op("lsm::modulated_loop", mutates_args=())
def modulated_loop_op(
    drive: Tensor, memory: Tensor, gates: Tensor, rotation: Tensor, order: Tensor | None, reverse: bool
) -> Tensor:
    """Return y, (B, L, 2N), as `lsm.scan.numba_modulated.run_modulated` does."""
    from lsm.scan.numba_modulated import run_modulated

    return run_modulated(drive, memory, gates, rotation, order, reverse)


@modulated_loop_op.register_fake
def _fake_loop(
    drive: Tensor, memory: Tensor, gates: Tensor, rotation: Tensor, order: Tensor | None, reverse: bool
) -> Tensor:
    return drive.new_empty(drive.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.reverse = inputs
    ctx.save_for_backward(*tensors, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    gradients = _backward_op(grad, *ctx.saved_tensors, ctx.reverse)
    return *gradients, None, None


modulated_scan_op.register_autograd(_backward, setup_context=_setup_context)
