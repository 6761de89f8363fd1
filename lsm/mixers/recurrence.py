"""What the recurrence of the CML computes, as data: a mode by name, and details that differ from it."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsm.errors import OptionError, truncate_repr, unknown_name
from lsm.mixers.scan_order import check_order
from lsm.typecheck import check_type

_PAPER = {"transition": "product", "input_norm": "learned", "modulation": "softmax", "scan_order": "category"}

RECURRENCES: dict[str, dict[str, str]] = {
    "paper": _PAPER,
    "official": _PAPER,
    "gated": {"transition": "gate", "input_norm": "unit", "modulation": "mean_one", "scan_order": "cross"},
}
"""The modes by name, and the values of the fields that are left empty.

- `paper`: a_k = λ ⊙ M_λ,k along the tokens of each image, in the order of their categories.
- `official`: as the published implementation computes: the scan runs over the images of a batch, M_λ is averaged over
  them, M stays in raster order, and categories are drawn in eval mode too.
- `gated`: |a_k| = |λ|^(8 σ(−S_λ,k)) with the phase of λ, h_k = a_k ⊙ h_{k−1} + √(1 − |a_k|²) ⊙ T M_B,k ⊙ γ ⊙ (B u_k),
  y_k = Re((C ⊙ T M_C,k) h_k) + D u_k, summed over rows and columns, both ways: a state that lasts tens of tokens, where
  the paper's fades at the next one; docs/ablation.md says what that brings.
"""

TRANSITIONS = {
    "product": "|λ| M_λ, the paper's",
    "gate": "|λ|^(8 σ(−S_λ)), S the similarity before the softmax; RG-LRU's gate with prototypes in place of a Linear",
    "none": "0: no recurrence",
}
"""The decay |a_k| of each state at each token; below 1 whatever the parameters."""

INPUT_NORMS = ("learned", "unit")
MODULATIONS = ("softmax", "mean_one")
CATEGORIES = ("gumbel", "argmax")

_CHOICES: dict[str, typing.Collection[str]] = {
    "transition": TRANSITIONS,
    "input_norm": INPUT_NORMS,
    "modulation": MODULATIONS,
    "categories": CATEGORIES,
}


@dataclass(frozen=True)
class RecurrenceConfig:
    """The recurrence of a network: a named mode, and where it differs from that.

    It is written as a name, `recurrence: gated`, or as a mapping, `recurrence: {mode: gated, scan_order: hilbert}`, in
    configs and as an argument alike.

    Attributes:
        mode: One of `RECURRENCES`; it gives `transition`, `input_norm`, `modulation` and `scan_order` their values
            where these are empty.
        transition: One of `TRANSITIONS`: how the semantics of a token set its decay |a_k|.
        input_norm: "learned": γ is a parameter, from √(1 − |λ|²). "unit": the input is scaled by √(1 − |a_k|²) at every
            token, which keeps states at one size whatever their decay, and by a learned γ from 1.
        modulation: What multiplies B and C: "softmax" M, or "mean_one" T·M, whose mean is 1.
        scan_order: "category" or a spatial order, see `lsm.mixers.scan_order.directions`.
        enhancement: Whether half of the mixer's channels are the dictionary's enhancement; without it the recurrence
            writes all channels.
        categories: In training: "gumbel" (drawn) or "argmax". In eval mode always the arg max, but drawn in `official`.
        temperature: Of the drawing, see `lsm.mixers.semantic.assign_categories`.
        r_min: Least |λ| at the start.
        r_max: Greatest |λ| at the start.
        max_phase: Greatest phase of λ at the start, radians.
    """

    mode: str = "paper"
    transition: str = ""
    input_norm: str = ""
    modulation: str = ""
    scan_order: str = ""
    enhancement: bool = True
    categories: str = "gumbel"
    temperature: float = 1.0
    r_min: float = 0.9
    r_max: float = 0.99
    max_phase: float = 6.283

    def __post_init__(self) -> None:
        """Fill in what is left empty, and check what can be wrong.

        Raises:
            OptionError: On an unknown name or a value out of range.
        """
        if self.mode not in RECURRENCES:
            raise OptionError(unknown_name("recurrence of LSM", self.mode, RECURRENCES))
        for name, value in RECURRENCES[self.mode].items():
            object.__setattr__(self, name, getattr(self, name) or value)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise OptionError(unknown_name(f"{name} of recurrence", getattr(self, name), known))
        check_order(self.scan_order)
        if self.mode == "official" and any(getattr(self, name) != value for name, value in _PAPER.items()):
            raise OptionError(f"The official recurrence has the paper's {', '.join(_PAPER)}.")
        if not 0 <= self.r_min < self.r_max < 1:
            raise OptionError(f"0 ≤ r_min < r_max < 1 must hold, not with r_min {self.r_min} and r_max {self.r_max}.")
        if self.temperature <= 0:
            raise OptionError(f"The temperature of the categories must be positive, not {self.temperature}.")

    @classmethod
    def parse(cls, value: Recurrence, defaults: Mapping[str, Any] | None = None) -> RecurrenceConfig:
        """Read a recurrence in any of its spellings.

        Args:
            value: The name of a mode, a mapping of fields, or a configuration, which is returned as it is.
            defaults: Fields of a preset, for what a name or a mapping leaves open.

        Raises:
            OptionError: On an unknown mode or field, with the nearest known one, or a value of a wrong type.
        """
        if isinstance(value, RecurrenceConfig):
            return value
        if not isinstance(value, (str, Mapping)):
            raise OptionError(
                f"Option recurrence of LSM must be a name or a mapping of options, not {truncate_repr(value)}."
            )
        values = {**(defaults or {}), **({"mode": value} if isinstance(value, str) else value)}
        known = typing.get_type_hints(cls)
        for name, item in values.items():
            if name not in known:
                raise OptionError(unknown_name("option of recurrence", name, known))
            check_type("recurrence", name, item, known[name])
        return cls(**values)

    def with_mode(self, mode: str) -> RecurrenceConfig:
        """Return the configuration of another mode, with what follows from it; all else stays.

        Raises:
            OptionError: On an unknown mode.
        """
        follows: dict[str, Any] = dict.fromkeys(_PAPER, "")
        return self if mode == self.mode else dataclasses.replace(self, mode=mode, **follows)


Recurrence = str | Mapping[str, Any] | RecurrenceConfig
"""The spellings of a recurrence."""
