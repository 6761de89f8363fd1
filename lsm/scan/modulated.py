"""The recurrence of a modulated LRU: gates on the way in, on the memory and on the way out, in any order of tokens.

    h_k = (ρ m_k) ⊙ h_{k−1} + M_B,k ⊙ u_k,    y_k = (M_Cre,k ⊙ Re h_k, M_Cim,k ⊙ Im h_k)

With m = M_λ and ρ = λ this is the paper's (§3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsm.errors import unknown_name
from lsm.scan.api import linear_scan
from lsm.scan.modulated_op import modulated_scan_op
from lsm.scan.op import HAS_TRITON
from lsm.scan.reorder import inverse, permute_tokens

MODULATED_BACKENDS = ("composed", "fused")


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

    All is computed in float32 at least. Differentiable in `drive`, `memory`, `rotation` and `gates`; once with "fused".

    Args:
        drive: u, (B, L, 2N): real parts, then imaginary parts.
        memory: m, (B, L, N), real.
        rotation: ρ, two planes of shape (N,).
        gates: M_B, M_Cre and M_Cim side by side, (B, L, 3N); ones by default.
        order: Which token each step visits, a permutation for all images (L,) or one each (B, L), int64.
        reverse: Visit the tokens of the order from the last to the first.
        starts: Steps, in the order, that forget all before them, (B, L) bool.
        backend: "composed": reordered copies and `linear_scan`, any device. "fused": kernels for CUDA devices that keep
            transitions and states out of memory; they need `gates` and no `starts`. "auto": "fused" where it can be.

    Returns:
        y, (B, L, 2N), each token's where the token is, in the type of `drive`.

    Raises:
        ValueError: On an unknown back end, or one that cannot run this.
    """
    fusible = gates is not None and starts is None
    if backend == "auto":
        backend = "fused" if fusible and HAS_TRITON and drive.is_cuda else "composed"
    if backend == "composed":
        return _compose(drive, memory, rotation, gates, order, reverse, starts)
    if backend != "fused":
        raise ValueError(unknown_name("modulated scan back end", backend, ["auto", *MODULATED_BACKENDS]))
    if gates is None or starts is not None:
        raise ValueError("The fused modulated scan takes gates, and no starts; use the back end 'composed'.")
    orders = order if order is None else order.view(-1, order.shape[-1])
    return modulated_scan_op(drive, memory, gates, torch.stack(rotation), orders, reverse)[0]


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
