"""The parametrisation of a linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349), for sequences and for images.

λ = exp(−exp(ν)) exp(i exp(θ)),   b_k = γ ⊙ (B u_k)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LEAST_DECAY = 2.0**-21
"""Least −log|λ|: a few float32 roundings, so that |λ| stays below 1 after them too."""


def initial_eigenvalues(d_state: int, r_min: float, r_max: float, max_phase: float) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the parameters of λ, with |λ|² uniform in [r_min², r_max²] and the phase uniform in [0, max_phase].

    Args:
        d_state: N.
        r_min: Least |λ|, in [0, r_max).
        r_max: Greatest |λ|, in (0, 1].
        max_phase: Greatest phase, in radians.

    Returns:
        log ν, log θ and log γ with γ = √(1 − |λ|²), each (N,).
    """
    # A radius of exactly 0 or 1 and a phase of 0 have no finite logarithm; float32 can draw them.
    radius_sq = torch.empty(d_state).uniform_(r_min**2, r_max**2).clamp(1e-12, 1 - 1e-6)
    phase = torch.empty(d_state).uniform_(0, max_phase).clamp_min(1e-6)
    return (-0.5 * radius_sq.log()).log(), phase.log(), 0.5 * (1 - radius_sq).log()


def eigenvalues(nu_log: Tensor, theta_log: Tensor) -> tuple[Tensor, Tensor]:
    """Compute λ = exp(−exp(ν)) exp(i exp(θ)) as real and imaginary part.

    Args:
        nu_log: ν, any shape.
        theta_log: θ, the same shape.

    Returns:
        Two tensors of that shape, with |λ| < 1 whatever ν is, also after rounding to float32.
    """
    radius, phase = torch.exp(-nu_log.exp().clamp_min(LEAST_DECAY)), theta_log.exp()
    return radius * phase.cos(), radius * phase.sin()


class LRUParameters(nn.Module):
    """What every linear recurrent unit learns, but for its D; parameters named and shaped as in the library lrnnx.

    Initial values: |λ|² uniform in [r_min², r_max²], phase uniform in [0, max_phase], γ = √(1 − |λ|²); each part of B
    ~ N(0, 1/2C), each part of C ~ N(0, 1/N).

    Args:
        dim: C, channels in and out.
        d_state: N, complex states.
        r_min: Least |λ| at the start.
        r_max: Greatest |λ| at the start, at most 1.
        max_phase: Greatest phase of λ at the start, in radians.
        normalize: Whether the input is scaled by γ; without, there is no parameter `gamma_log`.
    """

    gamma_log: Tensor | None

    def __init__(
        self, dim: int, d_state: int, r_min: float, r_max: float, max_phase: float, *, normalize: bool = True
    ) -> None:
        super().__init__()
        nu_log, theta_log, gamma_log = initial_eigenvalues(d_state, r_min, r_max, max_phase)
        self.nu_log, self.theta_log = nn.Parameter(nu_log), nn.Parameter(theta_log)
        self.register_parameter("gamma_log", nn.Parameter(gamma_log) if normalize else None)
        self.B_re = nn.Parameter(torch.randn(d_state, dim) / math.sqrt(2 * dim))
        self.B_im = nn.Parameter(torch.randn(d_state, dim) / math.sqrt(2 * dim))
        self.C_re = nn.Parameter(torch.randn(dim, d_state) / math.sqrt(d_state))
        self.C_im = nn.Parameter(torch.randn(dim, d_state) / math.sqrt(d_state))

    def transition(self) -> tuple[Tensor, Tensor]:
        """Return λ as two planes, each (N,); |λ| < 1 whatever the parameters."""
        return eigenvalues(self.nu_log, self.theta_log)

    def project(self, inputs: Tensor) -> Tensor:
        """Compute γ ⊙ (B u), real parts then imaginary parts: (…, C) → (…, 2N)."""
        weight = torch.cat([self.B_re, self.B_im])
        if self.gamma_log is not None:
            weight = weight * self.gamma_log.exp().repeat(2)[:, None]
        return inputs @ weight.t()
