"""Renew the table in docs/mixers.md from the docstrings of the mixers.

python scripts/mixer_docs.py
"""

from __future__ import annotations

from pathlib import Path

from lsm.files import atomic_file
from lsm.mixers.table import BEGIN, END, markdown_table

PAGE = Path(__file__).parent.parent / "docs" / "mixers.md"


def main() -> None:
    """Replace what stands between the two marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    with atomic_file(PAGE) as file:
        file.write(f"{before}{BEGIN}\n{markdown_table()}\n{END}{after}".encode())


if __name__ == "__main__":
    main()
