"""The page of every key is that of the schemas, and every key is described."""

from __future__ import annotations

import re
from pathlib import Path

from lsm.training import schema
from lsm.training.reference import markdown_page

PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == markdown_page(), "run python scripts/option_docs.py"


def test_every_key_is_described():
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 150
    assert [key for key, kind, _, meaning in rows if not meaning or "any" in kind.split()] == []


def test_every_section_has_its_table():
    headings = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) == len(set(headings))
    sections = {key for key, field in schema.TrainConfig.model_fields.items() if "Section" in str(field.annotation)}
    for key in (*sections, "train", "val", "path", "logger", "train.optim_g", "datasets.train", "val.metrics.NAME"):
        assert any(heading.startswith(f"`{key}`") for heading in headings), key
    assert schema.TestConfig.model_fields.keys() < schema.TrainConfig.model_fields.keys()
