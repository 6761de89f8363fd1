"""Everything a finished benchmark leaves behind: JSON, CSV, Markdown, plots and a page."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from lsm.benchmark import conditions, plots
from lsm.benchmark.html import page
from lsm.benchmark.published import Published
from lsm.benchmark.results import Results, write_csv, write_json
from lsm.benchmark.tables import markdown
from lsm.files import write_text
from lsm.version import install_command

log = logging.getLogger(__name__)


def write_report(results: Results, rows: Sequence[Published], folder: Path) -> list[Path]:
    """Write all files of the report.

    Args:
        results: What was measured.
        rows: Published rows to show beside it.
        folder: Where; the run has made it.

    Returns:
        The files written. Plots are left out, with a warning, where matplotlib is not installed.

    Raises:
        InputError: If a file cannot be written.
    """
    files = [folder / name for name in ("results.json", "results.csv", "results.md", "report.html")]
    write_json(results, files[0])
    write_csv(results.rows, files[1])
    write_text(files[2], markdown(results, rows))
    try:
        figures = plots.draw(results, rows)
    except ImportError:
        figures = {}
        log.warning("Plots are left out, since matplotlib is not installed: %s.", install_command("report"))
    for title, svg in figures.items():
        name = re.sub(r"[^a-z0-9]+", "_", title.lower().replace("×", "x").replace(" against", "")).strip("_")
        files.append(folder / f"{name}.svg")
        write_text(files[-1], svg)
    if results.settings.get("family") == "real-sr":
        files.append(folder / "conditions.md")
        write_text(files[-1], conditions.markdown(results.rows))
    write_text(files[3], page(results, rows, folder / "crops", figures))
    return files
