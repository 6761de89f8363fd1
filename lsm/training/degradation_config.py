"""The options of degradations as a section of a config: those of `DegradationOptions`, which also checks the values."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from pydantic import AliasChoices, Field, create_model, model_validator

from lsm.data.degrade.options import DegradationOptions
from lsm.training.section import Section


class _Checked(Section):
    """A section whose values together make `DegradationOptions`."""

    @model_validator(mode="after")
    def _make_options(self) -> _Checked:
        DegradationOptions(**self.model_dump())
        return self


def _fields() -> dict[str, Any]:
    """Return each option's type and default; Real-ESRGAN's name of the one that traiNNer-redux renamed is taken too."""
    hints = typing.get_type_hints(DegradationOptions)
    options = dataclasses.fields(DegradationOptions)
    fields: dict[str, Any] = {each.name: (hints[each.name], each.default) for each in options}
    names = AliasChoices("blur_prob2", "second_blur_prob")
    fields["blur_prob2"] = (float, Field(default=fields["blur_prob2"][1], validation_alias=names))
    return fields


DegradationConfig = create_model("DegradationConfig", __base__=_Checked, **_fields())
"""The section `degradation` of a dataset of type `DegradedPairs`."""
