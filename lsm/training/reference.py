"""The page of every key that a config may have, written from the schemas: docs/options.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from lsm.training.image_schema import DatasetConfig, TrainDatasetConfig
from lsm.training.own_data import OwnTrainDatasetConfig
from lsm.training.schema import TrainConfig

INTRODUCTION = """# Every key of a config

Written by `python scripts/option_docs.py` from the schemas that configs are checked by. An unknown key, a missing
folder or a wrong value is told before anything starts, all of them at once. A test's config has the same keys but for
`train`, `logger` and `network_d`. Configs of BasicSR's dialect are [understood](coming_from.md) too.
"""

_ROOTS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("", "The file", TrainConfig),
    ("datasets.train", "`datasets.train`", TrainDatasetConfig),
    ("datasets.val", "`datasets.val`, `val_1`, …; in a test `test`, `test_1`, …", DatasetConfig),
    ("datasets.train", "`datasets.train` of a plug-in's type", OwnTrainDatasetConfig),
)


def markdown_page() -> str:
    """Return the page."""
    parts, told = [INTRODUCTION], set()
    for path, title, root in _ROOTS:
        schema = root.model_json_schema(by_alias=False)
        sections = schema.get("$defs", {})
        queue = [(path, title, root.__name__, schema)]
        while queue:
            path, title, name, section = queue.pop(0)
            if name in told:
                continue
            told.add(name)
            parts.append(_section(title, section))
            for key, value in section["properties"].items():
                inner = f"{path}.{key}".removeprefix(".") + (".NAME" if "additionalProperties" in value else "")
                found = list(dict.fromkeys(_references(value)))
                for each in found:
                    more = f", {_types(sections[each]) or 'any that is registered'}" if len(found) > 1 else ""
                    queue.append((inner, f"`{inner}`{more}", each, sections[each]))
    return "\n".join(parts)


def _section(title: str, section: Mapping[str, Any]) -> str:
    """Write a section: its description, and a row for each key."""
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    required = section.get("required", [])
    for key, value in section["properties"].items():
        default = "needed" if key in required else _default(value.get("default"))
        rows.append(f"| `{key}` | {_kind(value)} | {default} | {value.get('description', '')} |")
    about = section.get("description", "")
    return f"## {title}\n{about}\n\n" + "\n".join(rows) + "\n"


def _references(value: Any) -> Iterator[str]:
    """Yield the names of the sections that a key's schema refers to."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            yield value["$ref"].rsplit("/", 1)[1]
        for key, part in value.items():
            if key != "discriminator":
                yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _types(section: Mapping[str, Any]) -> str:
    """Return what the key `type` of a section may be, if that is a choice."""
    kind = section["properties"].get("type", {})
    return _kind(kind) if "enum" in kind or "const" in kind else ""


def _kind(value: Mapping[str, Any]) -> str:
    """Describe the values that a key takes."""
    for choice in ("anyOf", "oneOf"):
        if choice in value:
            kinds = [_kind(each) for each in value[choice] if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in value or "const" in value:
        return ", ".join(f"`{_plain(each)}`" for each in value.get("enum", [value.get("const")]))
    if "$ref" in value:
        return "section"
    if "format" in value:
        return str(value["format"])
    kind = value.get("type")
    if kind == "array":
        items = value.get("items") or value.get("prefixItems", [{}])[0]
        return f"list: {_kind(items)}"
    if kind == "object":
        inner = value.get("additionalProperties")
        return f"names to: {_kind(inner)}" if isinstance(inner, Mapping) else "section"
    name = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`", "string": "text"}
    bounds = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    limits = [f"{sign} {_plain(value[key])}" for key, sign in bounds if key in value]
    return " ".join([name.get(str(kind), "any"), *limits])


def _default(value: Any) -> str:
    """Write a default; a section's own are in its table."""
    return "–" if value is None or isinstance(value, Mapping) else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    """Write a value as YAML does."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
