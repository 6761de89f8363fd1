"""Trains what a plan lists, each run in a process of its own; what is finished is not trained again."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

import yaml

from lsm.ablation.plan import Run
from lsm.errors import InputError
from lsm.files import write_text
from lsm.training.curves import FILE, read_curves
from lsm.training.subprocesses import start_training

log = logging.getLogger(__name__)

LOSS = "l_pix"
"""The loss whose curve is drawn."""


class Curve(NamedTuple):
    """What a run's curves say."""

    losses: dict[int, float]
    """Mean of `LOSS` since the line before, by iteration."""
    seconds: float
    """Median time of an iteration, s."""


def train_all(runs: Sequence[Run], folder: Path, jobs: int = 1) -> None:
    """Train all runs that are not finished, resuming those that were begun.

    Args:
        runs: The runs.
        folder: Where their configs and outputs go.
        jobs: How many to train at once; they share the processor's cores evenly, unless `OMP_NUM_THREADS` is set.

    Raises:
        InputError: If trainings failed, naming each with the file that says why; the others are finished first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = [run for run in runs if not run.weights.is_file()]
    log.info("%d of %d trainings are finished.", len(runs) - len(left), len(runs))
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        succeeded = list(pool.map(lambda run: _train(run, folder, threads), left))
    failed = [f"{folder / run.name}.log" for run, good in zip(left, succeeded, strict=True) if not good]
    if failed:
        raise InputError(f"{len(failed)} trainings failed: see {', '.join(failed)}. Run the plan again to resume them.")


def _train(run: Run, folder: Path, threads: int) -> bool:
    """Train one run as `lsm train --auto_resume` does; its output goes to a file."""
    log.info("Training %s for %s.", run.name, run.length)
    option_file = folder / f"{run.name}.yml"
    write_text(option_file, yaml.safe_dump(run.options, sort_keys=False))
    return start_training(option_file, folder / f"{run.name}.log", threads).wait() == 0 and run.weights.is_file()


def read_curve(run: Run) -> Curve:
    """Read losses and speed from the curves of a run; what was repeated after a kill counts once.

    Raises:
        InputError: If it has none.
    """
    curves = read_curves(run.folder)
    if not curves.losses.get(LOSS):
        raise InputError(f"{run.folder / FILE}: no curve of {LOSS}. Delete {run.folder} to train the run anew.")
    return Curve(curves.losses[LOSS], median(curves.seconds.values()))
