"""The options of degradations as a section of a config: those of `DegradationOptions`, which also checks the values."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

from pydantic import AliasChoices, Field, create_model, model_validator

from lsm.data.degrade.options import DegradationOptions
from lsm.training.section import Section


class _Checked(Section):
    """What is done to the images of `DegradedPairs`: two rounds of blur, resizing, noise and JPEG (Real-ESRGAN)."""

    @model_validator(mode="after")
    def _make_options(self) -> _Checked:
        DegradationOptions(**self.model_dump())
        return self


def _fields() -> dict[str, Any]:
    """Return each option's type and default; Real-ESRGAN's name of the one that traiNNer-redux renamed is taken too."""
    hints, describe = typing.get_type_hints(DegradationOptions), _descriptions()
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(DegradationOptions):
        names = AliasChoices("blur_prob2", "second_blur_prob") if each.name == "blur_prob2" else None
        field = Field(default=each.default, description=describe(each.name), validation_alias=names)
        fields[each.name] = (hints[each.name], field)
    return fields


def _descriptions() -> Callable[[str], str]:
    """Return what describes an option: its line in the docstring, or that of the first round's option."""
    text = inspect.getdoc(DegradationOptions) or ""
    lines = dict(re.findall(r"^    (\w+): (.+)$", text, re.MULTILINE))
    rounds = {"2": "Second round. ", "3": "Last resizing. "}

    def describe(name: str) -> str:
        plain = name.rstrip("23")
        start = rounds.get(name[len(plain) :], "")
        listed = f"{plain.removesuffix('_prob')}_list"
        known = lines.get(name) or lines.get(plain) or (f"Shares of the `{listed}`." if listed in lines else "")
        return known if name in lines else start + known

    return describe


DegradationConfig = create_model("DegradationConfig", __base__=_Checked, __doc__=_Checked.__doc__, **_fields())
"""The section `degradation` of a dataset of type `DegradedPairs`."""
