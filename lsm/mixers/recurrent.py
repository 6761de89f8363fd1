"""The recurrent mixer: one frame around a plain linear recurrent unit, or one modulated by semantics (paper §3.2–3.3).

Plain:      h_k = λ ⊙ h_{k−1} + γ ⊙ (B u_k),                 y_k = Re(C h_k) + D ⊙ u_k
Modulated:  h_k = a_k ⊙ h_{k−1} + M_B,k ⊙ γ ⊙ (B u_k),       a_k = λ ⊙ M_λ,k in the paper
            y_k = C_re (M_Cre,k ⊙ Re h_k) − C_im (M_Cim,k ⊙ Im h_k) + D u_k

with λ = exp(−exp(ν)) exp(i exp(θ)). The paper's M_λ is a quarter of a softmax over T prototypes, about 1/T each, so
that a state fades to about 1/T of itself at every token; `TRANSITIONS` in `recurrence.py` lists what else a_k can be.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm.errors import OptionError
from lsm.mixers.base import LINEAR, LOG_LINEAR, MixerProperties, Size, TokenMixer, to_image, to_tokens
from lsm.mixers.recurrence import Recurrence, RecurrenceConfig
from lsm.mixers.scan_order import directions
from lsm.mixers.semantic import SemanticModulation, Semantics, assign_categories
from lsm.scan import linear_scan, modulated_scan
from lsm.scan.parameters import LEAST_DECAY, LRUParameters
from lsm.scan.reorder import invert, permute_tokens

GATE_SHARPNESS = 8.0
"""c of the gated transition, as in RG-LRU (De et al. 2024, arXiv 2402.19427, §2.4)."""

Scan = tuple[Tensor | None, bool]
"""The order of the tokens, a permutation for all images (L,) or one each (B, L), and whether it runs backwards."""


def spatial_scans(order: str, size: Size, device: torch.device) -> list[Scan]:
    """List the scans of a spatial order over an image of `size` (H, W)."""
    return [
        (None if tokens is None else tokens.to(device), backwards) for tokens, backwards in directions(order, *size)
    ]


class PlainLRU(LRUParameters):
    """The core without semantics: the same recurrence along every direction of a spatial order, summed.

    Args:
        dim: C, channels in and out.
        d_state: N, complex states.
        config: Its scan order and initial values count.

    Raises:
        OptionError: On the order of categories, which come from a dictionary.
    """

    def __init__(self, dim: int, d_state: int, config: RecurrenceConfig) -> None:
        super().__init__(dim, d_state, config.r_min, config.r_max, config.max_phase)
        if config.scan_order == "category":
            raise OptionError("The unmodulated LRU has no categories; take a spatial scan_order, e.g. cross.")
        self.scan_order = config.scan_order
        self.D = nn.Parameter(torch.randn(dim))

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Scan tokens (B, L, C) of an image of `size`: states, real then imaginary parts, (B, L, 2N)."""
        inputs, transition = self.project(tokens), self.transition()
        scans = []
        for order, backwards in spatial_scans(self.scan_order, size, inputs.device):
            inverse = None if order is None else invert(order)
            steps = inputs if order is None or inverse is None else permute_tokens(inputs, order, inverse)
            real, imaginary = steps.chunk(2, dim=-1)
            states = torch.cat(linear_scan(transition, (real, imaginary), reverse=backwards), dim=-1)
            scans.append(states if order is None or inverse is None else permute_tokens(states, inverse, order))
        return scans[0] if len(scans) == 1 else torch.stack(scans).sum(dim=0)

    def output_weight(self) -> Tensor:
        """Return what maps the summed states and the token to y, (C, 2N + C); D counts once in each direction."""
        count = len(directions(self.scan_order, 1, 1))
        return torch.cat([self.C_re, -self.C_im, torch.diag(count * self.D)], dim=1)


class Steps(NamedTuple):
    """What the modulated recurrence takes of the semantics of the tokens."""

    decay: Tensor | None
    """(B, L, N): m of `modulated_scan`; None for no recurrence."""
    phase: tuple[Tensor, Tensor]
    """ρ of `modulated_scan`, two planes (N,)."""
    gates: Tensor
    """M_B, M_Cre and M_Cim side by side, (B, L, 3N)."""
    scans: list[Scan]
    """The scans, whose states are summed."""


class ModulatedLRU(LRUParameters):
    """The core of the CML: D is a matrix from N(0, 1/C), and the semantics of each token modulate λ, B and C.

    Args:
        dim: C, channels in and out.
        d_state: N, complex states.
        config: What it computes.
    """

    def __init__(self, dim: int, d_state: int, config: RecurrenceConfig) -> None:
        super().__init__(dim, d_state, config.r_min, config.r_max, config.max_phase)
        self.config = config
        self.sampling, self.generator = config.mode == "official", None
        self.D = nn.Parameter(torch.randn(dim, dim) / math.sqrt(dim))
        if config.input_norm == "unit":
            assert self.gamma_log is not None
            nn.init.zeros_(self.gamma_log)

    generator: torch.Generator | None

    def forward(self, tokens: Tensor, steps: Steps) -> Tensor:
        """Scan tokens (B, L, C): modulated states, real then imaginary parts, (B, L, 2N)."""
        inputs, (decay, phase, gates, scans) = self.project(tokens), steps
        if self.config.mode == "official":
            return self._scan_batch(inputs, steps)
        if decay is None:
            width = inputs.shape[-1] // 2
            return inputs * gates[..., :width].repeat(1, 1, 2) * gates[..., width:]
        if self.config.input_norm == "unit":
            inputs = inputs * (1 - decay.square()).sqrt().repeat(1, 1, 2)
        states = [modulated_scan(inputs, decay, phase, gates, order, reverse=backwards) for order, backwards in scans]
        return states[0] if len(states) == 1 else torch.stack(states).sum(dim=0)

    def output_weight(self) -> Tensor:
        """Return [C_re, −C_im, D], (C, 2N + C): what maps modulated states and the token to y."""
        return torch.cat([self.C_re, -self.C_im, self.D], dim=1)

    def plan(self, semantics: Semantics, size: Size) -> Steps:
        """Prepare the recurrence over the tokens of each image of `size` (H, W)."""
        width, config = self.nu_log.numel(), self.config
        modulation, gates = semantics.modulation.split([width, 3 * width], dim=-1)
        if config.modulation == "mean_one":
            gates = gates * (4.0 * width)
        decay: Tensor | None
        if config.transition == "product" and config.input_norm == "learned":
            decay, phase = modulation, self.transition()  # the scan itself multiplies λ and M_λ
        else:
            angle = self.theta_log.exp()
            decay, phase = self.decay(semantics), (angle.cos(), angle.sin())
        if decay is None:
            return Steps(None, phase, gates, [])
        if config.scan_order != "category":
            return Steps(decay, phase, gates, spatial_scans(config.scan_order, size, decay.device))
        order = self._categories(semantics.scores).sort(dim=-1, stable=True).indices
        return Steps(decay, phase, gates, [(order, False)])

    def decay(self, semantics: Semantics) -> Tensor | None:
        """Return |a_k| of each token and state, (B, L, N), in [0, 1); None for no recurrence."""
        if self.config.transition == "none":
            return None
        scores, modulation = (item.chunk(4, dim=-1)[0] for item in (semantics.scores, semantics.modulation))
        rate = self.nu_log.exp().clamp_min(LEAST_DECAY)
        if self.config.transition == "gate":
            return (rate * scores.neg().sigmoid()).mul(-GATE_SHARPNESS).exp()
        return (-rate).exp() * modulation

    def scan_decay(self, semantics: Semantics, size: Size) -> Tensor | None:
        """Return |a_k| in the order of the (first) scan, (B, L, N); None for no recurrence."""
        decay = self.decay(semantics)
        if decay is None:
            return None
        order = self.plan(semantics, size).scans[0][0]
        return decay if order is None else decay.take_along_dim(order.expand(decay.shape[:2])[..., None], dim=1)

    def _scan_batch(self, inputs: Tensor, steps: Steps) -> Tensor:
        """Compute what the published implementation does: a scan over images, of sorted inputs and unsorted M."""
        order, decay = steps.scans[0][0], steps.decay
        assert order is not None and decay is not None
        m_input, m_output = steps.gates.split([decay.shape[-1], 2 * decay.shape[-1]], dim=-1)
        inverse = invert(order)
        sorted_inputs = permute_tokens(inputs, order, inverse)
        re, im = (sorted_inputs * torch.cat([m_input, m_input], dim=-1)).transpose(0, 1).chunk(2, dim=-1)
        mean = decay.mean(dim=0)[:, None]
        planes = linear_scan((steps.phase[0] * mean, steps.phase[1] * mean), (re, im))
        states = torch.cat(planes, dim=-1).transpose(0, 1) * m_output
        return permute_tokens(states, inverse, order)

    def _categories(self, scores: Tensor) -> Tensor:
        """Return each token's category, (B, L)."""
        method = self.config.categories if self.training else ("gumbel" if self.sampling else "argmax")
        return assign_categories(scores, method, self.config.temperature, self.generator)


class RecurrentMixer(TokenMixer):
    """Tokens → Linear → image x ⊙ sigmoid(depthwise 3×3 of x) → the core's recurrence → Linear.

    With semantics, half of the channels are the dictionary's enhancement, unless the configuration goes without.

    Args:
        dim: C.
        sequence: See `TokenMixer`; a sequence is an image of one row.
        d_state: N; T = 4N prototypes, a quarter each modulates λ, B, Re C and Im C.
        config: What the recurrence computes.
        modulated: Whether semantics modulate it.
    """

    def __init__(
        self, dim: int, *, sequence: bool = False, d_state: int, config: RecurrenceConfig, modulated: bool
    ) -> None:
        super().__init__(dim, sequence=sequence)
        self.modulation = SemanticModulation(dim, 4 * d_state, config.enhancement) if modulated else None
        self.in_proj = nn.Linear(dim, dim)
        self.gate = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.core = ModulatedLRU(dim, d_state, config) if modulated else PlainLRU(dim, d_state, config)
        self.out_proj = nn.Linear(dim, dim // 2 if modulated and config.enhancement else dim)
        self.scan_order = config.scan_order

    @property
    def properties(self) -> MixerProperties:  # type: ignore[override]
        """The sort by categories costs n log n, everything else n."""
        return MixerProperties(LOG_LINEAR if self.scan_order == "category" else LINEAR)

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        gated = self._gate(tokens, size)
        if isinstance(self.core, PlainLRU):
            return self._read_out(self.core(gated, size), gated)
        assert self.modulation is not None
        semantics = self.modulation(tokens)
        enhancement, steps = semantics.enhancement, self.core.plan(semantics, size)
        del semantics  # its scores are as large as all that the scan needs of it
        mixed = self._read_out(self.core(gated, steps), gated)
        return mixed if enhancement is None else torch.cat([mixed, enhancement], dim=-1)

    def _gate(self, tokens: Tensor, size: Size) -> Tensor:
        """Map tokens (B, L, C) and gate them by their surroundings."""
        image = to_image(self.in_proj(tokens), size)
        return to_tokens(image * self.gate(image).sigmoid_())

    def _read_out(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Map states (B, L, 2N) and tokens (B, L, C) through C, D and the output Linear.

        The two maps are linear, so their product, which is small, is formed first.
        """
        from_states, from_tokens = (self.out_proj.weight @ self.core.output_weight()).split(
            [states.shape[-1], tokens.shape[-1]], dim=1
        )
        mapped = F.linear(tokens, from_tokens, self.out_proj.bias)
        return mapped.add_(states.to(from_states.dtype) @ from_states.t())


def modulated_recurrence(
    dim: int, *, sequence: bool = False, d_state: int = 16, recurrence: Recurrence = "paper"
) -> RecurrentMixer:
    """The recurrence of a category-based modulated LRU block, beside the enhancement by the dictionary.

    Paper: LSM, arXiv 2606.19901.
    Equation: h_k = (λ ⊙ M_λ,k) ⊙ h_{k−1} + M_B,k ⊙ γ ⊙ (B u_k), y_k = Re((C ⊙ M_C,k) h_k) + D u_k.
    Cost: n log n, of which only the sort of the categories is not n.
    Parameters: 2·C² + 11·C + 4·N·C + 3·N + (T + 2·(C//3) + 2·(C//2))·(C + 1).

    Args:
        dim: C.
        sequence: See `TokenMixer`; a sequence is an image of one row.
        d_state: N; T = 4N prototypes, a quarter each modulates λ, B, Re C and Im C.
        recurrence: What it computes: the name of a mode, or a mapping of options, see `RecurrenceConfig`.

    Raises:
        OptionError: On an unknown mode or option, or a value out of range.
    """
    config = RecurrenceConfig.parse(recurrence)
    return RecurrentMixer(dim, sequence=sequence, d_state=d_state, config=config, modulated=True)


def plain_recurrence(
    dim: int,
    *,
    sequence: bool = False,
    d_state: int = 16,
    scan_order: str = "cross",
    r_min: float = 0.9,
    r_max: float = 0.99,
    max_phase: float = 6.283,
) -> RecurrentMixer:
    """The frame of the CML's mixer around a linear recurrent unit that no dictionary modulates.

    Paper: Orvieto et al. 2023, LRU, arXiv 2303.06349.
    Equation: h_k = λ ⊙ h_{k−1} + γ ⊙ (B u_k), y_k = Re(C h_k) + D ⊙ u_k, in each scan order.
    Cost: n.
    Parameters: 2·C² + 13·C + 4·N·C + 3·N.

    Args:
        dim: C.
        sequence: See `TokenMixer`; a sequence is an image of one row.
        d_state: N, complex states.
        scan_order: A spatial order, `bidirectional` or `cross`, see `lsm.mixers.scan_order.directions`.
        r_min: Least |λ| at the start.
        r_max: Greatest |λ| at the start.
        max_phase: Greatest phase of λ at the start, in radians.

    Raises:
        OptionError: On an unknown order, the order of categories, or a value out of range.
    """
    config = RecurrenceConfig(scan_order=scan_order, r_min=r_min, r_max=r_max, max_phase=max_phase)
    return RecurrentMixer(dim, sequence=sequence, d_state=d_state, config=config, modulated=False)
