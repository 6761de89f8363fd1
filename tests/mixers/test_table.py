from pathlib import Path

from lsm.mixers.table import BEGIN, END, markdown_table


def test_the_page_holds_the_table():
    page = (Path(__file__).parents[2] / "docs" / "mixers.md").read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0].strip() == markdown_table(), "run python scripts/mixer_docs.py"
