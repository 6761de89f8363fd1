"""The recurrence of a modulated LRU: gates on the way in, on the memory and on the way out, in any order of tokens.

    h_k = (ρ m_k) ⊙ h_{k−1} + M_B,k ⊙ u_k,    y_k = (M_Cre,k ⊙ Re h_k, M_Cim,k ⊙ Im h_k)

With m = M_λ and ρ = λ this is the paper's (§3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsm.errors import unknown_name
from lsm.scan.api import linear_scan
from lsm.scan.modulated_op import modulated_loop_op, modulated_scan_op
from lsm.scan.op import HAS_NUMBA, HAS_TRITON
from lsm.scan.reorder import inverse, permute_tokens

MODULATED_BACKENDS = ("composed", "fused", "numba")


def modulated_scan(
    drive: Tensor,
    memory: Tensor,
    rotation: tuple[Tensor, Tensor],
    gates: Tensor | None = None,
    order: Tensor | None = None,
    *,
    reverse: bool = False,
    starts: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Run the modulated recurrence over the tokens of each image.

    All is computed in float32 at least. Differentiable in `drive`, `memory`, `rotation` and `gates`; once with "fused",
    not with "numba".

    Args:
        drive: u, (B, L, 2N): real parts, then imaginary parts.
        memory: m, (B, L, N), real.
        rotation: ρ, two planes of shape (N,).
        gates: M_B, M_Cre and M_Cim side by side, (B, L, 3N); ones by default.
        order: Which token each step visits, a permutation for all images (L,) or one each (B, L), int64.
        reverse: Visit the tokens of the order from the last to the first.
        starts: Steps, in the order, that forget all before them, (B, L) bool.
        backend: "composed": reordered copies and `linear_scan`, any device. "fused": kernels for CUDA devices that keep
            transitions and states out of memory. "numba": the same as a compiled loop for CPUs, where nobody asks for a
            gradient; the bits are those of "composed". Both need `gates` and no `starts`. "auto": the fastest that can.

    Returns:
        y, (B, L, 2N), each token's where the token is, in the type of `drive`.

    Raises:
        ValueError: On an unknown backend, or one that cannot run this.
    """
    if backend == "auto":
        backend = _fastest((drive, memory, gates, *rotation)) if gates is not None and starts is None else "composed"
    if backend == "composed":
        return _compose(drive, memory, rotation, gates, order, reverse, starts)
    if backend not in MODULATED_BACKENDS:
        raise ValueError(unknown_name("modulated scan backend", backend, ["auto", *MODULATED_BACKENDS]))
    if gates is None or starts is not None:
        raise ValueError(f"The {backend} modulated scan takes gates, and no starts; use the backend 'composed'.")
    orders = order if order is None else order.view(-1, order.shape[-1])
    if backend == "numba":
        _check_loop((drive, memory, gates, *rotation))
        return modulated_loop_op(drive, memory, gates, torch.stack(rotation), orders, reverse)
    return modulated_scan_op(drive, memory, gates, torch.stack(rotation), orders, reverse)[0]


def _fastest(tensors: tuple[Tensor, ...]) -> str:
    """Name the backend for tensors that can be fused."""
    if tensors[0].is_cuda:
        return "fused" if HAS_TRITON else "composed"
    # A graph that torch captures may be exported, or run with gradients; the composition serves both.
    loops = HAS_NUMBA and not torch.compiler.is_compiling() and _loop_takes(tensors)
    return "numba" if loops and not _wants_gradient(tensors) else "composed"


def _loop_takes(tensors: tuple[Tensor, ...]) -> bool:
    """Say whether the compiled loop computes in the types, and where, the tensors are."""
    dtype = tensors[0].dtype
    alike = all(item.dtype == dtype and item.device.type == "cpu" for item in tensors)
    return alike and dtype in (torch.float32, torch.float64)


def _wants_gradient(tensors: tuple[Tensor, ...]) -> bool:
    return torch.is_grad_enabled() and any(item.requires_grad for item in tensors)


def _check_loop(tensors: tuple[Tensor, ...]) -> None:
    if not _loop_takes(tensors) or _wants_gradient(tensors):
        raise ValueError(
            "The modulated scan's backend 'numba' takes float32 or float64 tensors of one type on CPUs, and has no "
            "gradient; use 'composed'."
        )


def _compose(
    drive: Tensor,
    memory: Tensor,
    rotation: tuple[Tensor, Tensor],
    gates: Tensor | None,
    order: Tensor | None,
    reverse: bool,
    starts: Tensor | None,
) -> Tensor:
    """Gate, reorder, scan, put back and gate, one operation of torch after the other."""
    width = memory.shape[-1]
    gated = drive if gates is None else drive * gates[..., :width].repeat(1, 1, 2)
    # Everything but the scan works token by token, so only what the scan reads and writes has to be reordered.
    steps = torch.cat([memory, gated], dim=-1)
    back = None if order is None else inverse(order)
    if order is not None and back is not None:
        steps = permute_tokens(steps, order, back)
    memory, re, im = steps.chunk(3, dim=-1)
    if starts is not None:
        memory = memory.masked_fill(starts[..., None], 0)
    planes = linear_scan((memory * rotation[0], memory * rotation[1]), (re, im), reverse=reverse)
    states = torch.cat(planes, dim=-1)
    if order is not None and back is not None:
        states = permute_tokens(states, back, order)
    return (states if gates is None else states * gates[..., width:]).to(drive.dtype)
