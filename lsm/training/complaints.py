"""What is wrong with a config, one line for each key: pydantic's errors in the words of the file."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from lsm.errors import truncate_repr, unknown_name

MOST_LINES, MOST_IN_A_LINE = 50, 10
"""Of the report of its mistakes."""


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """List the sections that a type annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in typing.get_args(annotation) for section in _sections(part)]


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    """Return the keys of the section that pydantic's location of an error leads to."""
    here = [model]
    for part in location:
        fields = [each.model_fields[part] for each in here if part in each.model_fields]
        if fields:
            here = [section for field in fields for section in _sections(field.annotation)]
        else:  # the key of a free mapping, or in a union of sections the variant's `type`
            types = [typing.get_args(getattr(each.model_fields.get("type"), "annotation", None)) for each in here]
            here = [each for each, names in zip(here, types, strict=True) if part in names] or here
    return {name for each in here for key, field in each.model_fields.items() for name in (key, field.alias) if name}


def _complaint(item: Any, data: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Split one of pydantic's errors into the key's path and what is wrong there."""
    path, here, location, kind = [], data, item["loc"], item["type"]
    for index, part in enumerate(location):
        in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        inside = in_list or (isinstance(here, dict) and part in here)
        if inside:
            here = here[part]
        if inside or (kind == "missing" and index == len(location) - 1):  # else the name of a union's variant
            path.append(str(part))
    if kind == "extra_forbidden":
        return ".".join(path[:-1]), unknown_name("key", path[-1], _known_keys(model, location[:-1]))
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']+)'", item["ctx"]["expected_tags"])
        return ".".join([*path, "type"]), unknown_name("value", item["ctx"]["tag"], known)
    if kind == "union_tag_not_found":
        return ".".join([*path, "type"]), "Field required"
    known = re.findall(r"'([^']+)'", item["ctx"]["expected"]) if kind == "literal_error" else []
    if known:
        return ".".join(path), unknown_name("value", str(item["input"]), known)
    got = truncate_repr(item["input"]) if isinstance(item["input"], str | int | float) else ""
    return ".".join(path), item["msg"][:300] + (f" (got {got})" if got and got.strip("'") not in item["msg"] else "")


def check_section(model: type[BaseModel], data: Any, prefix: str = "") -> tuple[Any, list[str]]:
    """Check a section; returns it, or None, and a line for each key with something wrong."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        complaints: dict[str, list[str]] = {}
        for item in error.errors():
            path, text = _complaint(item, data, model)
            complaints.setdefault(".".join(filter(None, [prefix, path])), []).append(text)
    lines = [(path, "; ".join(first(texts, MOST_IN_A_LINE))) for path, texts in complaints.items()]
    return None, [f"{path}: {text}" if path else text for path, text in lines]


def first(texts: list[str], most: int) -> list[str]:
    """Cut a list of mistakes, and say how many are left out."""
    return texts if len(texts) <= most else [*texts[:most], f"and {len(texts) - most} more mistakes"]
