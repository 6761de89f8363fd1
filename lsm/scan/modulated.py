"""The recurrence of a modulated LRU: gates on the way in, on the decay and on the way out, in any order of tokens.

    h_k = a_k ⊙ h_{k−1} + M_B,k ⊙ u_k,    a_k = m_k ⊙ ρ,    y_k = (M_Cre,k ⊙ Re h_k, M_Cim,k ⊙ Im h_k)

With a phase ρ = exp(iθ) the decay m_k is |a_k|. The paper's (§3.2) is m = M_λ and ρ = λ: there the factor |λ| of the
decay, which is the same for all tokens, comes with the phase.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lsm.errors import unknown_name
from lsm.scan.api import linear_scan
from lsm.scan.op import HAS_NUMBA, HAS_TRITON
from lsm.scan.planes import result_dtype
from lsm.scan.reorder import invert, permute_tokens
from lsm.scan.torch_version import TORCH_26

MODULATED_BACKENDS = ("composed", "fused", "numba")


def modulated_scan(
    inputs: Tensor,
    decay: Tensor,
    phase: tuple[Tensor, Tensor],
    gates: Tensor,
    order: Tensor | None = None,
    *,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Run the modulated recurrence over the tokens of each image.

    All is computed in float32 at least. Differentiable in `inputs`, `decay`, `phase` and `gates`; once with "fused",
    not with "numba".

    Args:
        inputs: u, (B, L, 2N): real parts, then imaginary parts.
        decay: m, (B, L, N), real.
        phase: ρ, two planes of shape (N,).
        gates: M_B, M_Cre and M_Cim side by side, (B, L, 3N).
        order: Which token each step visits, a permutation for all images (L,) or one each (B, L), int64.
        reverse: Visit the tokens of the order from the last to the first.
        backend: "composed": reordered copies and `linear_scan`, any device. "fused": kernels for CUDA devices that keep
            transitions and states out of memory; their gradient needs Triton 3.3, torch 2.7's. "numba": the same as a
            compiled loop for CPUs, where nobody asks for a gradient; the bits are those of "composed". "auto": the
            fastest that can.

    Returns:
        y, (B, L, 2N), each token's where the token is, in the type of `inputs`.

    Raises:
        ValueError: On an unknown backend, or one that cannot run this.
    """
    tensors = (inputs, decay, gates, *phase)
    if backend == "auto":
        backend = _fastest(tensors)
    elif backend not in MODULATED_BACKENDS:
        raise ValueError(unknown_name("modulated scan backend", backend, ["auto", *MODULATED_BACKENDS]))
    elif backend == "numba" and not _loop_takes(tensors):
        raise ValueError(
            "The modulated scan's backend 'numba' takes float32 or float64 tensors of one type on CPUs, and has no "
            "gradient; use 'composed'."
        )
    elif backend == "fused" and TORCH_26 and _wants_gradient(tensors):
        raise ValueError("The gradient of the modulated scan's backend 'fused' needs torch 2.7; use 'composed'.")
    if backend == "composed":
        return _compose(inputs, decay, phase, gates, order, reverse)
    orders = order if order is None else order.view(-1, order.shape[-1])
    if backend == "numba":
        return modulated_loop_op(inputs, decay, gates, torch.stack(phase), orders, reverse)
    return modulated_scan_op(inputs, decay, gates, torch.stack(phase), orders, reverse)[0]


def _fastest(tensors: tuple[Tensor, ...]) -> str:
    """Name the fastest backend for these tensors."""
    if tensors[0].is_cuda:
        # The kernel of the gradient turns tiles upside down by an operation that Triton has from 3.3 on, torch 2.7's.
        return "fused" if HAS_TRITON and not (TORCH_26 and _wants_gradient(tensors)) else "composed"
    # A graph that torch captures may be exported, or run with gradients; the composition serves both.
    loops = HAS_NUMBA and not torch.compiler.is_compiling() and _loop_takes(tensors)
    return "numba" if loops else "composed"


def _loop_takes(tensors: tuple[Tensor, ...]) -> bool:
    """Return whether the compiled loop can run: in the types, and where, the tensors are, and without a gradient."""
    dtype = tensors[0].dtype
    alike = all(item.dtype == dtype and item.device.type == "cpu" for item in tensors)
    return alike and dtype in (torch.float32, torch.float64) and not _wants_gradient(tensors)


def _wants_gradient(tensors: tuple[Tensor, ...]) -> bool:
    return torch.is_grad_enabled() and any(item.requires_grad for item in tensors)


def _compose(
    inputs: Tensor,
    decay: Tensor,
    phase: tuple[Tensor, Tensor],
    gates: Tensor,
    order: Tensor | None,
    reverse: bool,
) -> Tensor:
    """Gate, reorder, scan, put back and gate, one operation of torch after the other."""
    width = decay.shape[-1]
    gated = inputs * gates[..., :width].repeat(1, 1, 2)
    # Everything but the scan works token by token, so only what the scan reads and writes has to be reordered.
    steps = torch.cat([decay, gated], dim=-1)
    inverse = None if order is None else invert(order)
    if order is not None and inverse is not None:
        steps = permute_tokens(steps, order, inverse)
    decay, re, im = steps.chunk(3, dim=-1)
    planes = linear_scan((decay * phase[0], decay * phase[1]), (re, im), reverse=reverse)
    states = torch.cat(planes, dim=-1)
    if order is not None and inverse is not None:
        states = permute_tokens(states, inverse, order)
    return (states * gates[..., width:]).to(inputs.dtype)


# The operators of torch: kernels with their gradient, and a loop for CPUs, which has none.


def _carries(inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """Return the shapes of the states that are kept; how many is known where the kernels are."""
    from lsm.scan.triton_modulated import chunk_shape

    batch, length, width = decay.shape
    chunks = (length + chunk_shape(width)[0] - 1) // chunk_shape(width)[0]
    dtype = result_dtype(inputs, decay, gates, phase)
    first, second = (inputs.new_empty(batch, chunks - 1, width, dtype=dtype) for _ in range(2))
    return first, second


@torch.library.custom_op("lsm::modulated_scan", mutates_args=())
def modulated_scan_op(
    inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor, order: Tensor | None, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return y and the two planes of the states between chunks, as `lsm.scan.triton_modulated.run_forward` does."""
    from lsm.scan.triton_modulated import run_forward

    y, (re, im) = run_forward(inputs, decay, gates, phase, order, reverse)
    return y, re, im


@modulated_scan_op.register_fake
def _fake(
    inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor, order: Tensor | None, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return (inputs.new_empty(inputs.shape), *_carries(inputs, decay, gates, phase))


@torch.library.custom_op("lsm::modulated_scan_backward", mutates_args=())
def _backward_op(
    grad: Tensor,
    inputs: Tensor,
    decay: Tensor,
    gates: Tensor,
    phase: Tensor,
    order: Tensor | None,
    after_re: Tensor,
    after_im: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from lsm.scan.triton_modulated import run_backward

    return run_backward(grad, inputs, decay, gates, phase, order, (after_re, after_im), reverse)


@_backward_op.register_fake
def _fake_backward(
    grad: Tensor,
    inputs: Tensor,
    decay: Tensor,
    gates: Tensor,
    phase: Tensor,
    order: Tensor | None,
    after_re: Tensor,
    after_im: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    du, dm, dgates, dphase = (item.new_empty(item.shape) for item in (inputs, decay, gates, phase))
    return du, dm, dgates, dphase


@torch.library.custom_op("lsm::modulated_loop", mutates_args=())
def modulated_loop_op(
    inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor, order: Tensor | None, reverse: bool
) -> Tensor:
    """Return y, (B, L, 2N), as `lsm.scan.numba_modulated.run_modulated` does."""
    from lsm.scan.numba_modulated import run_modulated

    return run_modulated(inputs, decay, gates, phase, order, reverse)


@modulated_loop_op.register_fake
def _fake_loop(
    inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor, order: Tensor | None, reverse: bool
) -> Tensor:
    return inputs.new_empty(inputs.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.reverse = inputs
    ctx.save_for_backward(*tensors, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    gradients = _backward_op(grad, *ctx.saved_tensors, ctx.reverse)
    return *gradients, None, None


modulated_scan_op.register_autograd(_backward, setup_context=_setup_context)
