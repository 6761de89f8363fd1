"""What a section of the stress run is given, and what it leaves: checks that held or did not, and tables."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """A promise that was tried.

    Attributes:
        promise: What must hold.
        held: Whether it did.
        evidence: Numbers, or what was seen instead.
    """

    promise: str
    held: bool
    evidence: str


@dataclass(frozen=True)
class Table:
    """Figures that are stated rather than promised; texts, the header first."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass
class Section:
    """One section of a run.

    Attributes:
        name: Its name on the command line.
        seed: Of every random choice in it.
        effort: Factor on the number of examples; 1 takes minutes.
        folder: An empty folder to work in.
        images: A folder of photographs for the sections that measure on real ones; none for scikit-image's.
        checks: What was tried.
        tables: What was measured.
    """

    name: str
    seed: int
    effort: float
    folder: Path
    images: Path | None = None
    checks: list[Check] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def random(self) -> random.Random:
        """Return a generator that starts from the section's seed."""
        return random.Random(f"{self.name} {self.seed}")

    def times(self, count: int) -> int:
        """Scale a number of examples by the effort, at least 1."""
        return max(1, round(count * self.effort))

    def check(self, promise: str, held: bool, evidence: str = "") -> None:
        """Note whether a promise held, and print it."""
        self.checks.append(Check(promise, held, evidence))
        print(
            f"{'held  ' if held else 'BROKEN'} {self.name}: {promise}{f' [{evidence}]' if evidence else ''}", flush=True
        )

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Note a table, and print it."""
        self.tables.append(Table(title, header, rows))
        print(markdown(self.tables[-1]), flush=True)

    @property
    def held(self) -> bool:
        """Whether every promise held."""
        return all(check.held for check in self.checks)

    def save(self, folder: Path, about: dict[str, str]) -> None:
        """Write `SECTION.json`: everything noted, the seed, and what it ran on."""
        content = {
            **about,
            "section": self.name,
            "seed": self.seed,
            "effort": self.effort,
            "seconds": round(time.monotonic() - self.started, 1),
            "checks": [asdict(check) for check in self.checks],
            "tables": [asdict(table) for table in self.tables],
        }
        (folder / f"{self.name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def markdown(table: Table) -> str:
    """Write a table in Markdown, its title above."""
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join([f"**{table.title}**", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def report(folder: Path) -> str:
    """Write one Markdown text of all sections that a folder holds."""
    parts = ["# Stress report", ""]
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        broken = [check for check in content["checks"] if not check["held"]]
        parts += [
            f"## {content['section']}",
            f"{len(content['checks']) - len(broken)} of {len(content['checks'])} promises held; "
            f"seed {content['seed']}, effort {content['effort']:g}, {content['seconds']} s.",
            f"Commit {content['commit']}, torch {content['torch']}, {content['system']}.",
            "",
            *(
                f"- {'held' if check['held'] else '**BROKEN**'}: {check['promise']}"
                + (f" ({check['evidence']})" if check["evidence"] else "")
                for check in content["checks"]
            ),
            "",
            *(markdown(Table(**table)) for table in content["tables"]),
        ]
    return "\n".join(parts)
