"""The CML's mixer: a linear recurrent unit over the tokens, modulated by the semantics of each token (paper §3.2–3.3).

h_k = a_k ⊙ h_{k−1} + M_B,k ⊙ γ ⊙ (B u_k),     a_k = λ ⊙ M_λ,k in the paper,     λ = exp(−exp(ν)) exp(i exp(θ))
y_k = C_re (M_Cre,k ⊙ Re h_k) − C_im (M_Cim,k ⊙ Im h_k) + D u_k

What else a_k can be, is in `lsm.mixers.transition`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm.mixers.base import LINEAR, LOG_LINEAR, MixerProperties
from lsm.mixers.layout import Size, to_image, to_tokens
from lsm.mixers.scan_order import check_order, directions
from lsm.mixers.semantic import SemanticModulation, Semantics, assign_categories
from lsm.mixers.transition import magnitude
from lsm.scan import linear_scan, modulated_scan
from lsm.scan.reorder import inverse, permute_tokens
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


class Steps(NamedTuple):
    """What a recurrence over the tokens of each image takes of their semantics."""

    memory: Tensor | None
    """(B, L, N): m of `modulated_scan`; None for no recurrence."""
    gates: Tensor | None
    """M_B, M_Cre and M_Cim side by side, (B, L, 3N); None for ones."""
    visits: list[tuple[Tensor | None, bool]]
    """For each scan the order of the tokens, and whether it runs backwards."""
    starts: Tensor | None = None
    """Steps that forget all before them, (B, L) bool."""


class SemanticLRU(nn.Module):
    """The recurrence of a category-based modulated LRU block, beside the enhancement by the dictionary.

    Tokens → Linear → image x ⊙ sigmoid(depthwise 3×3 of x) → scan in the order of the categories → Linear → C//2
    channels; the other half is the dictionary's enhancement.

    Paper: LSM, arXiv 2606.19901.
    Equation: h_k = (λ ⊙ M_λ,k) ⊙ h_{k−1} + M_B,k ⊙ γ ⊙ (B u_k), y_k = Re((C ⊙ M_C,k) h_k) + D u_k.
    Cost: n log n, of which only the sort of the categories is not n.
    Parameters: 2·C² + 11·C + 4·N·C + 3·N + (T + 2·(C//3) + 2·(C//2))·(C + 1).

    Args:
        dim: C.
        d_state: N.
        num_tokens: T = 4N prototypes: a quarter each modulates λ, B, Re C and Im C.
        r_min: See `ModulatedLRU`.
        r_max: See `ModulatedLRU`.
        max_phase: See `ModulatedLRU`.
        batch_scan: Compute as the published implementation does: the scan runs over the images of a batch, M_λ is
            averaged over them, M stays in raster order, and categories are drawn in eval mode too. Otherwise the scan
            runs over the tokens of each image, and M follows its tokens into the scan order.
        transition: One of `lsm.mixers.transition.TRANSITIONS`.
        input_norm: "learned": γ is a parameter, from √(1 − |λ|²). "unit": the input is scaled by √(1 − |a_k|²) at every
            token, which keeps states at one size however memory is modulated, and by a learned γ from 1.
        modulation: What multiplies B and C: "softmax" M; "mean_one" T·M, whose mean is 1; "none" 1.
        scan_order: "category", or a spatial order of `scan_order.directions`.
        reset: With the category order: whether each category starts from a zero state.
        categories: In training: "gumbel" (drawn) or "argmax". In eval mode always the arg max, unless `sampling` is on.
        temperature: Of the drawing, see `assign_categories`.
        enhancement: Without it, the recurrence writes all C channels.
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
        batch_scan: bool = False,
        transition: str = "product",
        input_norm: str = "learned",
        modulation: str = "softmax",
        scan_order: str = "category",
        reset: bool = False,
        categories: str = "gumbel",
        temperature: float = 1.0,
        enhancement: bool = True,
    ) -> None:
        super().__init__()
        check_order(scan_order)
        self.batch_scan, self.transition, self.unit_input = batch_scan, transition, input_norm == "unit"
        self.plain_product = transition == "product" and not self.unit_input  # the scan itself multiplies λ and M_λ
        self.modulation_scale = {"softmax": 1.0, "mean_one": float(num_tokens), "none": None}[modulation]
        self.scan_order, self.reset = scan_order, reset
        self.categories, self.temperature = categories, temperature
        self.sampling, self.generator = batch_scan, None
        self.modulation = SemanticModulation(dim, num_tokens, enhancement)
        self.in_proj = nn.Linear(dim, dim)
        self.gate = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.core = ModulatedLRU(dim, d_state, r_min, r_max, max_phase)
        if self.unit_input:
            nn.init.zeros_(self.core.gamma_log)
        gain = torch.full((d_state,), math.log(num_tokens))
        self.gain_log = nn.Parameter(gain) if transition == "gain" else None
        self.out_proj = nn.Linear(dim, dim // 2 if enhancement else dim)

    generator: torch.Generator | None

    @property
    def properties(self) -> MixerProperties:
        """The sort by categories costs n log n, everything else n."""
        return MixerProperties(LOG_LINEAR if self.scan_order == "category" else LINEAR)

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C) of an image of `size` (H, W), L = H·W, into (B, L, C)."""
        gated = self._gated(tokens, size)
        semantics = self.modulation(tokens)
        enhancement = semantics.enhancement
        if self.batch_scan:
            order = self._categories(semantics.scores).argsort(stable=True)
            mixed = self._scan_batch(gated, semantics.modulation, order)
        else:
            steps = self._steps(semantics, size)
            del semantics  # its scores are as large as all that the scan needs of it
            mixed = self._scan_tokens(gated, steps)
        return mixed if enhancement is None else torch.cat([mixed, enhancement], dim=-1)

    def _gated(self, tokens: Tensor, size: Size) -> Tensor:
        """Map tokens (B, L, C) and gate them by their surroundings."""
        image = to_image(self.in_proj(tokens), size)
        return to_tokens(image * self.gate(image).sigmoid_())

    def memory(self, semantics: Semantics) -> Tensor | None:
        """Return |a_k| of each token and state, (B, L, N); None for no recurrence."""
        if self.transition == "none":
            return None
        scores, modulation = (item.chunk(4, dim=-1)[0] for item in (semantics.scores, semantics.modulation))
        return magnitude(self.transition, self.core.nu_log, scores, modulation, self.gain_log)

    def scan_memory(self, tokens: Tensor, size: Size) -> Tensor | None:
        """Return |a_k| of tokens (B, L, C) in the order of the (first) scan, (B, L, N); None for no recurrence."""
        semantics = self.modulation(tokens)
        memory = self.memory(semantics)
        if memory is None:
            return None
        if self.scan_order != "category":
            order = directions(self.scan_order, *size)[0][0]
            return memory if order is None else memory[:, order.to(memory.device)]
        ordered, order = self._categories(semantics.scores).sort(dim=-1, stable=True)
        memory = memory.gather(1, order[..., None].expand_as(memory))
        return memory.masked_fill(_starts(ordered)[..., None], 0) if self.reset else memory

    def _steps(self, semantics: Semantics, size: Size) -> Steps:
        """Prepare the recurrence over the tokens of each image."""
        width = self.core.nu_log.numel()
        m_lambda, m_rest = semantics.modulation.split([width, 3 * width], dim=-1)
        gates = None
        if self.modulation_scale is not None:
            gates = m_rest if self.modulation_scale == 1 else m_rest * self.modulation_scale
        memory = m_lambda if self.plain_product else self.memory(semantics)
        if memory is None:
            return Steps(None, gates, [])
        if self.scan_order != "category":
            device = memory.device
            visits = [(None if p is None else p.to(device), r) for p, r in directions(self.scan_order, *size)]
            return Steps(memory, gates, visits)
        ordered, order = self._categories(semantics.scores).sort(dim=-1, stable=True)
        return Steps(memory, gates, [(order, False)], _starts(ordered) if self.reset else None)

    def _scan_tokens(self, tokens: Tensor, steps: Steps) -> Tensor:
        """Scan the tokens of each image in the chosen order; several directions are summed."""
        states = self._states(self.core.drive(tokens), steps)
        return self._readout(states, tokens)

    def _states(self, drive: Tensor, steps: Steps) -> Tensor:
        """Run the recurrence on its drive, (B, L, 2N): modulated states of that shape."""
        memory, gates = steps.memory, steps.gates
        if memory is None:
            width = drive.shape[-1] // 2
            return drive if gates is None else drive * gates[..., :width].repeat(1, 1, 2) * gates[..., width:]
        if self.unit_input:
            drive = drive * (1 - memory.square()).sqrt().repeat(1, 1, 2)
        phase = self.core.theta_log.exp()
        rotation = self.core.transition() if self.plain_product else (phase.cos(), phase.sin())
        scans = [
            modulated_scan(drive, memory, rotation, gates, order, reverse=backwards, starts=steps.starts)
            for order, backwards in steps.visits
        ]
        return scans[0] if len(scans) == 1 else torch.stack(scans).sum(dim=0)

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
        mapped = F.linear(tokens, from_tokens, self.out_proj.bias)
        return mapped.add_(states.to(from_states.dtype) @ from_states.t())

    def _categories(self, scores: Tensor) -> Tensor:
        """Give each token its category, (B, L)."""
        method = self.categories if self.training else ("gumbel" if self.sampling else "argmax")
        return assign_categories(scores, method, self.temperature, self.generator)


def _starts(ordered: Tensor) -> Tensor:
    """Mark where in sorted categories (B, L) a new one starts, but for the first token: (B, L) bool."""
    return ordered.diff(dim=-1, prepend=ordered[:, :1]) != 0
