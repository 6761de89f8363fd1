"""What a config may say of losses: those known here, BasicSR's, and those that plug-ins register."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lsm.training.section import ChoiceSection, Section

_KNOWN = ("L1Loss", "MSELoss", "CharbonnierLoss")


class PixelLoss(ChoiceSection):
    """The loss between output and truth; CharbonnierLoss alone takes `eps`."""

    type: Literal["L1Loss", "MSELoss", "CharbonnierLoss"] = "L1Loss"
    """The loss."""
    loss_weight: Annotated[float, Field(gt=0)] = 1.0
    """Factor on it."""
    reduction: Literal["mean"] = "mean"
    """It is averaged over all values."""
    eps: Annotated[float, Field(gt=0)] | None = None
    """Added under the root; 1e-12 if it is not given."""

    @model_validator(mode="after")
    def _eps_of_charbonnier(self) -> PixelLoss:
        if self.eps is not None and self.type != "CharbonnierLoss":
            raise PydanticCustomError("eps", "only CharbonnierLoss takes eps")
        return self


class RegisteredLoss(Section):
    """A loss by its name in BasicSR's registry, with its own keys; it takes output and truth and returns a scalar."""

    model_config = ConfigDict(extra="allow")

    type: str
    """Its name in the registry."""

    @model_validator(mode="after")
    def _fits_its_arguments(self) -> RegisteredLoss:
        from lsm.training.compat import LOSS_REGISTRY  # only a config that names one needs BasicSR to be checked
        from lsm.training.registered import argument_complaints, find

        build = find(LOSS_REGISTRY, self.type)
        if build is None:
            text = "{name} is registered neither by BasicSR nor by a module in plugins"
            raise PydanticCustomError("no_loss", text, {"name": repr(self.type)})
        settings = {key: value for key, value in self.model_dump().items() if key != "type"}
        if lines := argument_complaints(self.type, build, settings):
            raise PydanticCustomError("loss", "{lines}", {"lines": "; ".join(lines)})
        return self


def _kind(loss: Any) -> str:
    """Choose the section that a pixel loss is checked by: a registered one if it is none of the known."""
    name = loss.get("type", "L1Loss") if isinstance(loss, dict) else getattr(loss, "type", "L1Loss")
    if name in _KNOWN or not isinstance(name, str):
        return "known"
    from lsm.training.compat import LOSS_REGISTRY
    from lsm.training.registered import find

    return "known" if find(LOSS_REGISTRY, name) is None else "registered"


AnyPixelLoss = Annotated[
    Annotated[PixelLoss, Tag("known")] | Annotated[RegisteredLoss, Tag("registered")], Discriminator(_kind)
]
"""The loss between output and truth: one of three that are checked key by key, or any that is registered."""


class SpectralLoss(Section):
    """A loss between the spectra of output and truth, beside the pixel loss."""

    type: Literal["FFTLoss"] = "FFTLoss"
    """The loss."""
    loss_weight: Annotated[float, Field(gt=0)] = 0.05
    """Factor on it."""
