"""The curves of a run: losses, learning rate and metrics by iteration, a JSON object a line in `curves.jsonl`.

No other file needs them: they are for `lsm report`, and for whoever wants to plot them. A run that was killed and
resumed has some iterations twice; the later line counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsm.files import append_line

FILE = "curves.jsonl"

Points = dict[int, float]
"""Values by iteration."""


class CurveWriter:
    """Appends to the curves of a run.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def training(self, iteration: int, losses: Mapping[str, float], rate: float, seconds: float) -> None:
        """Note the means since the last line.

        Args:
            iteration: The iteration.
            losses: By name.
            rate: The learning rate.
            seconds: Of one iteration.
        """
        self._append({"iter": iteration, "losses": dict(losses), "lr": rate, "seconds": seconds})

    def validation(self, iteration: int, dataset: str, metrics: Mapping[str, float]) -> None:
        """Note the means of a validation's metrics on a dataset."""
        self._append({"iter": iteration, "set": dataset, "metrics": dict(metrics)})

    def _append(self, line: dict[str, Any]) -> None:
        append_line(self._path, json.dumps(line))


@dataclass
class Curves:
    """The curves of a run.

    Attributes:
        losses: By name.
        rates: The learning rate.
        seconds: Of an iteration.
        metrics: By dataset, then by metric.
    """

    losses: dict[str, Points] = field(default_factory=dict)
    rates: Points = field(default_factory=dict)
    seconds: Points = field(default_factory=dict)
    metrics: dict[str, dict[str, Points]] = field(default_factory=dict)


def read_curves(folder: Path) -> Curves:
    """Read the curves of a run; what is no number, and lines that were cut off, are left out.

    Args:
        folder: The run's folder.

    Returns:
        The curves; empty if the run has none yet.
    """
    curves = Curves()
    path = folder / FILE
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        line = _parse(text)
        if "losses" in line:
            for name, value in line["losses"].items():
                _note(curves.losses.setdefault(name, {}), line["iter"], value)
            _note(curves.rates, line["iter"], line["lr"])
            _note(curves.seconds, line["iter"], line["seconds"])
        elif "metrics" in line:
            for name, value in line["metrics"].items():
                _note(curves.metrics.setdefault(line["set"], {}).setdefault(name, {}), line["iter"], value)
    return curves


def _note(points: Points, iteration: int, value: float) -> None:
    if math.isfinite(value):
        points[iteration] = value


def _parse(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}
