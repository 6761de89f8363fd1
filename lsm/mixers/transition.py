"""How far the modulated recurrence remembers: the size |a_k| of a transition a_k = |a_k| exp(iθ), token by token.

The paper multiplies λ by M_λ, a quarter of a softmax over T prototypes. Its entries are about 1/T, so that a state
forgets all but 1/T of itself at every token: the recurrence is there, its memory is not. The other transitions let a
prototype lengthen or cut memory instead. All keep |a| < 1, whatever the parameters.
"""

from __future__ import annotations

from torch import Tensor

from lsm.sequence.lru import LEAST_DECAY

TRANSITIONS = {
    "product": "|λ| M_λ, the paper's",
    "renormalised": "|λ| M_λ / max M_λ: the most similar prototype keeps all of λ",
    "gain": "|λ| tanh(g M_λ), with a learned gain g for each state, T at the start",
    "power": "|λ|^(1 − M_λ): similarity lengthens memory",
    "gate": "|λ|^(8 σ(−S_λ)), S the similarity before the softmax; RG-LRU's gate with prototypes in place of a Linear",
    "fixed": "|λ|: the semantics leave the memory alone",
    "none": "0: no recurrence",
}

GATE_SHARPNESS = 8.0
"""c of the gated transition, as in RG-LRU (De et al. 2024, arXiv 2402.19427, §2.4)."""


def magnitude(name: str, nu_log: Tensor, scores: Tensor, modulation: Tensor, gain_log: Tensor | None = None) -> Tensor:
    """Compute |a_k| of each token and state.

    Args:
        name: One of `TRANSITIONS`, but "none".
        nu_log: ν of |λ| = exp(−exp(ν)), (N,).
        scores: S_λ, (B, L, N): the similarity to the prototypes that modulate λ.
        modulation: M_λ, (B, L, N): their quarter of its softmax.
        gain_log: log g, (N,), for "gain".

    Returns:
        (B, L, N), in [0, 1).
    """
    decay = nu_log.exp().clamp_min(LEAST_DECAY)
    if name == "power":
        return (decay * (modulation - 1)).exp()
    if name == "gate":
        return (decay * scores.neg().sigmoid()).mul(-GATE_SHARPNESS).exp()
    radius = (-decay).exp()
    if name == "fixed":
        return radius.expand_as(modulation)
    if name == "renormalised":
        modulation = modulation / modulation.amax(dim=-1, keepdim=True)
    if name == "gain":
        assert gain_log is not None
        modulation = (modulation * gain_log.exp()).tanh()
    return radius * modulation
