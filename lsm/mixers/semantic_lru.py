"""The CML's mixer: a linear recurrent unit over the tokens, modulated by the semantics of each token (paper §3.2–3.3).

h_k = (λ ⊙ M_λ,k) ⊙ h_{k−1} + M_B,k ⊙ γ ⊙ (B u_k)
y_k = C_re (M_Cre,k ⊙ Re h_k) − C_im (M_Cim,k ⊙ Im h_k) + D u_k,     λ = exp(−exp(ν)) exp(i exp(θ))
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsm.mixers.layout import Size, to_image, to_tokens
from lsm.mixers.reorder import permute_tokens
from lsm.mixers.scan_order import check_order, directions, inverse
from lsm.mixers.semantic import SemanticModulation, assign_categories
from lsm.scan import linear_scan
from lsm.sequence.lru import eigenvalues, initial_eigenvalues


class ModulatedLRU(nn.Module):
    """Parameters of the recurrence, and its input and output maps.

    Initial values: |λ|² uniform in [r_min², r_max²], phase uniform in [0, max_phase], γ = √(1 − |λ|²); each part of B
    ~ N(0, 1/2C), each part of C ~ N(0, 1/N), D ~ N(0, 1/C).

    Args:
        dim: C, channels in and out.
        d_state: N, complex states.
        r_min: Least |λ| at the start, in [0, 1).
        r_max: Greatest |λ| at the start, in (r_min, 1).
        max_phase: Greatest phase at the start, in radians.
    """

    def __init__(self, dim: int, d_state: int, r_min: float, r_max: float, max_phase: float) -> None:
        super().__init__()
        nu_log, theta_log, gamma_log = initial_eigenvalues(d_state, r_min, r_max, max_phase)
        self.nu_log = nn.Parameter(nu_log)
        self.theta_log = nn.Parameter(theta_log)
        self.gamma_log = nn.Parameter(gamma_log)
        self.B_re = nn.Parameter(torch.randn(d_state, dim) / math.sqrt(2 * dim))
        self.B_im = nn.Parameter(torch.randn(d_state, dim) / math.sqrt(2 * dim))
        self.C_re = nn.Parameter(torch.randn(dim, d_state) / math.sqrt(d_state))
        self.C_im = nn.Parameter(torch.randn(dim, d_state) / math.sqrt(d_state))
        self.D = nn.Parameter(torch.randn(dim, dim) / math.sqrt(dim))

    def transition(self) -> tuple[Tensor, Tensor]:
        """Return λ as two planes, each (N,); |λ| < 1 whatever the parameters."""
        return eigenvalues(self.nu_log, self.theta_log)

    def drive(self, tokens: Tensor) -> Tensor:
        """Return γ ⊙ (B u), real parts then imaginary parts: (B, L, C) → (B, L, 2N)."""
        weight = torch.cat([self.B_re, self.B_im]) * self.gamma_log.exp().repeat(2)[:, None]
        return tokens @ weight.t()

    def output_weight(self) -> Tensor:
        """Return [C_re, −C_im, D], (C, 2N + C): what maps modulated states and the token to y."""
        return torch.cat([self.C_re, -self.C_im, self.D], dim=1)


class SemanticLRU(nn.Module):
    """The recurrence of a category-based modulated LRU block, beside the enhancement by the dictionary.

    Tokens → Linear → image x ⊙ sigmoid(depthwise 3×3 of x) → scan in the order of the categories → Linear → C//2
    channels; the other half is the dictionary's enhancement.

    Args:
        dim: C.
        d_state: N.
        num_tokens: T = 4N prototypes: a quarter each modulates λ, B, Re C and Im C.
        r_min: See `ModulatedLRU`.
        r_max: See `ModulatedLRU`.
        max_phase: See `ModulatedLRU`.
        semantics: "paper": the scan runs over the tokens of each image, and M follows its tokens into the scan order.
            "released": as the published implementation computes; the scan runs over the images of a batch, M_λ is
            averaged over them, M stays in raster order, and categories are drawn in eval mode too.
        scan_order: "category", or a spatial order of `scan_order.directions`.
        categories: In training: "gumbel" (drawn) or "argmax". In eval mode always the arg max, unless `sampling` is on.
        temperature: Of the drawing, see `assign_categories`.
    """

    def __init__(
        self,
        dim: int,
        d_state: int,
        num_tokens: int,
        *,
        r_min: float = 0.9,
        r_max: float = 0.99,
        max_phase: float = 6.283,
        semantics: str = "paper",
        scan_order: str = "category",
        categories: str = "gumbel",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        check_order(scan_order)
        self.semantics, self.scan_order = semantics, scan_order
        self.categories, self.temperature = categories, temperature
        self.sampling, self.generator = semantics == "released", None
        self.modulation = SemanticModulation(dim, num_tokens)
        self.in_proj = nn.Linear(dim, dim)
        self.gate = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.core = ModulatedLRU(dim, d_state, r_min, r_max, max_phase)
        self.out_proj = nn.Linear(dim, dim // 2)

    generator: torch.Generator | None

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C) of an image of `size` (H, W), L = H·W, into (B, L, C)."""
        semantics = self.modulation(tokens)
        image = to_image(self.in_proj(tokens), size)
        gated = to_tokens(image * self.gate(image).sigmoid())
        if self.semantics == "released":
            mixed = self._scan_batch(gated, semantics.modulation, self._category_order(semantics.scores))
        else:
            mixed = self._scan_tokens(gated, semantics.modulation, semantics.scores, size)
        return torch.cat([mixed, semantics.enhancement], dim=-1)

    def _scan_tokens(self, tokens: Tensor, modulation: Tensor, scores: Tensor, size: Size) -> Tensor:
        """Scan the tokens of each image in the chosen order; several directions are summed."""
        m_lambda, m_input, m_re, m_im = modulation.chunk(4, dim=-1)
        drive = self.core.drive(tokens) * torch.cat([m_input, m_input], dim=-1)
        # Everything but the scan works token by token, so only what the scan reads and writes has to be reordered.
        gates = torch.cat([m_lambda, drive], dim=-1)
        scans: list[tuple[Tensor | None, bool]]
        if self.scan_order == "category":
            scans = [(self._category_order(scores), False)]
        else:
            scans = [(None if p is None else p.to(gates.device), r) for p, r in directions(self.scan_order, *size)]
        states = sum(self._scan(gates, order, backwards) for order, backwards in scans)
        return self._readout(states * torch.cat([m_re, m_im], dim=-1), tokens)

    def _scan(self, gates: Tensor, order: Tensor | None, backwards: bool) -> Tensor:
        """Scan M_λ and the input (B, L, 3N) in an order (L,) or (B, L); return states (B, L, 2N) in raster order."""
        back = None if order is None else inverse(order)
        if order is not None and back is not None:
            gates = permute_tokens(gates, order, back)
        m_lambda, re, im = gates.chunk(3, dim=-1)
        lambda_re, lambda_im = self.core.transition()
        planes = linear_scan((lambda_re * m_lambda, lambda_im * m_lambda), (re, im), reverse=backwards)
        states = torch.cat(planes, dim=-1)
        return states if order is None or back is None else permute_tokens(states, back, order)

    def _scan_batch(self, tokens: Tensor, modulation: Tensor, order: Tensor) -> Tensor:
        """Compute what the published implementation does: a scan over images, of sorted features and unsorted M."""
        m_lambda, m_input, m_re, m_im = modulation.chunk(4, dim=-1)
        back = inverse(order)
        features = permute_tokens(tokens, order, back)
        re, im = (self.core.drive(features) * torch.cat([m_input, m_input], dim=-1)).transpose(0, 1).chunk(2, dim=-1)
        mean = m_lambda.mean(dim=0)[:, None]
        lambda_re, lambda_im = self.core.transition()
        planes = linear_scan((lambda_re * mean, lambda_im * mean), (re, im))
        states = torch.cat(planes, dim=-1).transpose(0, 1) * torch.cat([m_re, m_im], dim=-1)
        return permute_tokens(self._readout(states, features), back, order)

    def _readout(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Map modulated states (B, L, 2N) and tokens (B, L, C) through C, D and the output Linear: (B, L, C//2).

        The two maps are linear, so their product, which is small, is formed first.
        """
        from_states, from_tokens = (self.out_proj.weight @ self.core.output_weight()).split(
            [states.shape[-1], tokens.shape[-1]], dim=1
        )
        return torch.nn.functional.linear(tokens, from_tokens, self.out_proj.bias) + states @ from_states.t()

    def _category_order(self, scores: Tensor) -> Tensor:
        """Sort the tokens of each image by category, (B, L); the sort is stable, so equal inputs give equal orders."""
        method = self.categories if self.training else ("gumbel" if self.sampling else "argmax")
        return assign_categories(scores, method, self.temperature, self.generator).argsort(dim=-1, stable=True)
