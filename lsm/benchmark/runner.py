"""The whole benchmark: sets found, methods described, images measured, results collected."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import Any

from lsm.benchmark.evaluate import ImageTask, evaluate
from lsm.benchmark.journal import Journal
from lsm.benchmark.methods import Method, parse_methods
from lsm.benchmark.processes import Rank, run_all
from lsm.benchmark.results import ImageResult, Results
from lsm.benchmark.settings import BenchmarkOptions, Settings
from lsm.benchmark.tasks import describe_set, find_sets, list_tasks
from lsm.inference.device import pick_device
from lsm.metrics.perceptual import load_network
from lsm.profiling.environment import describe_environment
from lsm.version import installed_version

log = logging.getLogger(__name__)

Progress = Callable[[list[ImageResult], int], None]
"""Called with the rows so far and the number there will be, once at the start and after each image."""


def run(options: BenchmarkOptions, rank: Rank | None = None, progress: Progress | None = None) -> Results:
    """Run a benchmark, or what is left of it.

    Args:
        options: What to compare on what.
        rank: This process among several, see `lsm.benchmark.processes.join_ranks`.
        progress: Called as this process proceeds.

    Returns:
        The results of all processes, in the order of scales, methods, sets and images.

    Raises:
        InputError: If a set or image is missing or damaged.
        OptionError: If an option is wrong.
        CheckpointError: If weights cannot be read.
        LSMError: If LPIPS is to be measured and its network cannot be loaded; before anything is measured.
    """
    rank = rank or Rank()
    if options.settings.lpips:
        load_network("lpips")  # what is missing is known at once, and fetched here rather than by each job
    settings = dataclasses.replace(options.settings, device=rank.device(options.settings.device))
    sets = find_sets(options)
    specs = parse_methods(options.methods, options.scales, settings)
    methods = [(spec, Method(spec, settings).info()) for spec in specs]
    tasks = list_tasks(options, settings, sets, methods)
    mine = tasks[rank.index :: rank.count]
    rows = _measure(options, settings, mine, rank, progress or (lambda rows, total: None))
    by_key = {row.key: row for row in rank.gather(rows)}
    return Results(
        protocol=settings.protocol,
        protocol_text=settings.protocol_text,
        settings=dataclasses.asdict(options.settings) | {"limit": options.limit},
        environment=_environment(settings),
        methods=tuple(info for _, info in methods),
        sets=tuple(describe_set(image_set, tasks) for image_set in sets),
        rows=tuple(_rename(by_key[task.key], task) for task in tasks),
    )


def _environment(settings: Settings) -> dict[str, Any]:
    """Describe what a run computes with; the package of LPIPS where it is measured."""
    about = describe_environment(pick_device(settings.device), evaluate.__module__)
    return about | ({"lpips": installed_version("lpips")} if settings.lpips else {})


def _measure(
    options: BenchmarkOptions, settings: Settings, tasks: Sequence[ImageTask], rank: Rank, progress: Progress
) -> list[ImageResult]:
    """Take what the journal has under the same key, and measure the rest."""
    journal = Journal(options.report / "journal", rank.index)
    known = {} if options.fresh else journal.read()
    rows = [_rename(known[task.key], task) for task in tasks if task.key in known and task.is_kept()]
    done = {row.key for row in rows}
    if rows:
        log.info("%d of %d images are taken from %s.", len(rows), len(tasks), options.report)
    progress(rows, len(tasks))
    left = [task for task in tasks if task.key not in done]
    for row in run_all(left, settings, options.jobs):
        journal.append(row)
        rows.append(row)
        progress(rows, len(tasks))
    return rows


def _rename(row: ImageResult, task: ImageTask) -> ImageResult:
    """Return a row with the names of this run: the same network may have had another label before."""
    return dataclasses.replace(row, model=task.label, image_set=task.image_set, image=task.pair.name)
