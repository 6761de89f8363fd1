"""Build faults and run them: every promise of SECURITY.md, tried with many examples; prints and writes a report.

    python tests/stress/run.py images options --seed 1 --report results/stress

Needs Linux and root for the sections that mount a small file system; the quick ones are part of the test suite too.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The rig's modules import each other as `stress.…`, as the tests do; its own folder, which Python puts first for a
# script, would hide `numbers` of the standard library.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import importlib
import tempfile
from typing import Annotated

import typer

from lsm.cli import user_errors
from lsm.errors import OptionError, unknown_name
from stress.section import Section, report

SECTIONS = (
    *("images", "properties", "interruptions", "training", "checkpoints", "options"),
    *("numbers", "tiling", "load", "archives", "determinism"),
)


def stress(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SECTION]...", help="All by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    effort: Annotated[float, typer.Option(help="Factor on the number of examples.")] = 1.0,
    images: Annotated[
        Path | None, typer.Option(help="Folder of photographs to measure on.", show_default="scikit-image's")
    ] = None,
    folder: Annotated[Path, typer.Option("--report", help="Where the report goes.")] = Path("results/stress"),
) -> None:
    """Run sections of the stress run; leaves with 1 if a promise is broken."""
    import torch

    from lsm.profiling.environment import describe_environment

    for name in names or ():
        if name not in SECTIONS:
            raise OptionError(unknown_name("section", name, SECTIONS))
    folder.mkdir(parents=True, exist_ok=True)
    facts = describe_environment(torch.device("cpu"))
    about = {name: str(facts[name] or "unknown") for name in ("commit", "system", "torch")}
    held = True
    for name in names or SECTIONS:
        with tempfile.TemporaryDirectory(prefix=f"lsm-{name}-") as place:
            section = Section(name, seed, effort, Path(place), images)
            importlib.import_module(f"stress.{name}").run(section)
            section.save(folder, about)
        held &= section.held
        (folder / "report.md").write_text(report(folder), "utf-8")
    print(f"Report: {folder / 'report.md'}")
    raise typer.Exit(not held)


if __name__ == "__main__":
    with user_errors():
        typer.run(stress)
