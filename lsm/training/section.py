"""What all sections of a config have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Section(BaseModel):
    """A section of a config; unknown keys are errors. The line under each key describes it in docs/options.md."""

    model_config = ConfigDict(
        extra="forbid", coerce_numbers_to_str=True, populate_by_name=True, use_attribute_docstrings=True
    )


class ChoiceSection(Section):
    """A section whose `type` decides which keys count; those of other types are None, and left out where it is kept."""

    @model_serializer(mode="wrap")
    def _without_the_keys_of_others(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value is not None}
