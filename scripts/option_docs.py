"""Renew docs/options.md, the page of every key of a config, from the schemas.

python scripts/option_docs.py
"""

from __future__ import annotations

from pathlib import Path

from lsm.files import write_text
from lsm.training.reference import markdown_page

PAGE = Path(__file__).parent.parent / "docs" / "options.md"


def main() -> None:
    """Write the page."""
    write_text(PAGE, markdown_page())


if __name__ == "__main__":
    main()
