"""What a config may say of steps: the optimizers, and how their learning rate goes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from lsm.training.image_schema import Fraction, NonNegativeInt
from lsm.training.section import ChoiceSection, Section


class Optimizer(ChoiceSection):
    """The optimizer of a network.

    Muon takes the matrices; AdamW, at `adamw_lr`, the first and last convolution, depthwise ones and vectors. Both
    rates follow the schedule, and `weight_decay` is the matrices'.
    """

    type: Literal["Adam", "AdamW", "Muon"] = "AdamW"
    """The optimizer."""
    lr: Annotated[float, Field(gt=0)]
    """Its learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled in AdamW and Muon."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decays of the two moments."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the divisor."""
    momentum: Fraction | None = None
    """Muon's, 0.95 if it is not given."""
    adamw_lr: Annotated[float, Field(gt=0)] | None = None
    """Rate of what Muon leaves to AdamW, 1.5e-3 if it is not given."""

    @model_validator(mode="after")
    def _own_keys_of_muon(self) -> Optimizer:
        for key, default in (("momentum", 0.95), ("adamw_lr", 1.5e-3)):
            if self.type == "Muon":
                setattr(self, key, getattr(self, key) or default)
            elif getattr(self, key) is not None:
                raise PydanticCustomError("muon", "only Muon takes {key}", {"key": key})
        return self


class MultiStep(Section):
    """A learning rate that falls at milestones."""

    type: Literal["MultiStepLR", "MultiStepRestartLR"]
    """The schedule."""
    milestones: list[PositiveInt]
    """Iterations after which the rate falls."""
    gamma: Annotated[float, Field(gt=0)] = 0.1
    """What it is then multiplied by."""
    restarts: list[NonNegativeInt] = Field(default=[0])
    """Iterations after which it starts anew; the first is 0."""
    restart_weights: list[float] = Field(default=[1.0])
    """What it starts with, as a factor."""

    @model_validator(mode="after")
    def _restarts_from_zero(self) -> MultiStep:
        if self.restarts[:1] != [0] or len(self.restarts) != len(self.restart_weights):
            raise PydanticCustomError("restarts", "restarts must begin with 0 and be as many as restart_weights")
        return self


class Cosine(Section):
    """A learning rate that falls along a cosine in each period."""

    type: Literal["CosineAnnealingRestartLR"]
    """The schedule."""
    periods: list[PositiveInt]
    """Lengths of the periods, in iterations."""
    restart_weights: list[float] = Field(default=[1.0])
    """What each starts with, as a factor."""
    eta_min: Annotated[float, Field(ge=0)] = 0.0
    """The rate at the end of a period."""

    @model_validator(mode="after")
    def _as_many_weights(self) -> Cosine:
        if len(self.periods) != len(self.restart_weights):
            raise PydanticCustomError("periods", "periods and restart_weights must be equally many")
        return self


class CosineToTheEnd(Section):
    """A learning rate that falls along half a cosine from the first iteration to the last."""

    type: Literal["Cosine"]
    """The schedule."""
    eta_min: Annotated[float, Field(ge=0)] = 0.0
    """The rate at the end."""
