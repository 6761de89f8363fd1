"""The whole benchmark: sets found, methods described, images measured, results collected."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lsm.benchmark.evaluate import Work, data_hash
from lsm.benchmark.journal import Journal, row_key
from lsm.benchmark.methods import Method, MethodInfo, MethodSpec, device_kind, parse_methods
from lsm.benchmark.processes import Assignment, Rank, run_all
from lsm.benchmark.results import Results, Row
from lsm.benchmark.settings import Settings
from lsm.data.datasets import ImageSet, find_set
from lsm.errors import InputError, OptionError
from lsm.inference.device import pick_device
from lsm.metrics.fidelity import PROTOCOL
from lsm.profiling.environment import code_hash, environment

log = logging.getLogger(__name__)

Watcher = Callable[[list[Row], int], None]
"""Called with the rows so far and the number there will be, once at the start and after each image."""


@dataclass(frozen=True)
class Plan:
    """What to compare on what.

    Attributes:
        data: Root of the sets.
        sets: Names of sets, in any common spelling.
        scales: Scales.
        methods: Methods as `lsm.benchmark.methods.parse_methods` reads them.
        report: Folder of the results, and of the journal by which a killed run goes on.
        settings: How the methods run.
        limit: Images of each set at most; none for all.
        jobs: Processes on this machine.
        crops: Images of each set and scale whose crops the report shows.
        visual: Folder for all results as images; none to keep none.
        fresh: Whether to measure everything anew.
    """

    data: Path
    sets: tuple[str, ...]
    scales: tuple[int, ...]
    methods: str
    report: Path
    settings: Settings = field(default_factory=Settings)
    limit: int | None = None
    jobs: int = 1
    crops: int = 8
    visual: Path | None = None
    fresh: bool = False


def run(plan: Plan, rank: Rank | None = None, watcher: Watcher | None = None) -> Results:
    """Run a benchmark, or what is left of it.

    Args:
        plan: What to do.
        rank: This process among several, see `lsm.benchmark.processes.joined`.
        watcher: Whom to tell how far this process is.

    Returns:
        The results of all processes, rows in the plan's order.

    Raises:
        InputError: If a set or image is missing or damaged.
        OptionError: If the plan is wrong.
        CheckpointError: If weights cannot be read.
    """
    rank = rank or Rank()
    settings = dataclasses.replace(plan.settings, device=rank.device(plan.settings.device))
    sets = _find_sets(plan)
    specs = parse_methods(plan.methods, plan.scales, settings)
    methods = [(spec, Method(spec, settings).info()) for spec in specs]
    work = _list_work(plan, settings, sets, methods)
    mine = work[rank.index :: rank.count]
    rows = _measure(plan, settings, mine, rank, watcher or (lambda rows, total: None))
    by_key = {row.key: row for row in rank.gather(rows)}
    return Results(
        protocol=settings.protocol,
        protocol_text=PROTOCOL,
        settings=dataclasses.asdict(plan.settings) | {"limit": plan.limit},
        environment=environment(pick_device(settings.device)),
        methods=tuple(info for _, info in methods),
        sets=tuple(_describe(image_set, work) for image_set in sets),
        rows=tuple(_as(item, by_key[item.key]) for item, _ in work),
    )


def _find_sets(plan: Plan) -> list[ImageSet]:
    """Find all sets at all scales, cut to the limit."""
    if plan.limit is not None and plan.limit < 1:
        raise OptionError(f"--limit {plan.limit}: at least 1.")
    found = [find_set(plan.data, name, scale) for scale in plan.scales for name in plan.sets]
    names = [(image_set.name, image_set.scale) for image_set in found]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise OptionError(f"--sets names {double[0]} twice.")
    return [dataclasses.replace(image_set, pairs=image_set.pairs[: plan.limit]) for image_set in found]


def _list_work(
    plan: Plan, settings: Settings, sets: Sequence[ImageSet], methods: Sequence[tuple[MethodSpec, MethodInfo]]
) -> list[Assignment]:
    """List every image for every method, by scale, method and set."""
    hashes = {pair: data_hash(pair) for image_set in sets for pair in image_set.pairs}
    common = {
        "protocol": settings.protocol,
        "text": PROTOCOL,
        "ensemble": settings.ensemble,
        "device": device_kind(settings),
        "code": code_hash(),
        "torch": torch.__version__,
    }
    folder = plan.report / "crops"
    if plan.crops:
        _make(folder)
    work: list[Assignment] = []
    for scale in plan.scales:
        for spec, info in (item for item in methods if item[1].scale == scale):
            for image_set in (item for item in sets if item.scale == scale):
                shown = set(_spread(len(image_set.pairs), plan.crops))
                for number, pair in enumerate(image_set.pairs):
                    facts = {**common, "model": info.sha256, "data": hashes[pair], "scale": scale}
                    name = Path(info.label) / image_set.name / f"x{scale}" / f"{pair.name}.png"
                    item = Work(
                        model=info.label,
                        image_set=image_set.name,
                        scale=scale,
                        pair=pair,
                        data=hashes[pair],
                        key=row_key(facts),
                        crops=folder if number in shown else None,
                        visual=plan.visual / name if plan.visual else None,
                    )
                    work.append((item, spec))
    return work


def _measure(plan: Plan, settings: Settings, work: Sequence[Assignment], rank: Rank, watcher: Watcher) -> list[Row]:
    """Take what the journal has under the same key, and measure the rest."""
    journal = Journal(plan.report / "journal", rank.index)
    known = {} if plan.fresh else journal.read()
    rows = [_as(item, known[item.key]) for item, _ in work if item.key in known and item.is_kept()]
    done = {row.key for row in rows}
    if rows:
        log.info("%d of %d images are taken from %s.", len(rows), len(work), plan.report)
    watcher(rows, len(work))
    left = [item for item in work if item[0].key not in done]
    for row in run_all(left, settings, plan.jobs):
        journal.append(row)
        rows.append(row)
        watcher(rows, len(work))
    return rows


def _as(work: Work, row: Row) -> Row:
    """Give a row the names of this run: the same network may have had another label before."""
    return dataclasses.replace(row, model=work.model, image_set=work.image_set, image=work.pair.name)


def _describe(image_set: ImageSet, work: Sequence[Assignment]) -> dict[str, Any]:
    """Say what a set was: how many images, which bytes, and where LR came from."""
    hashes = {item.pair: item.data for item, _ in work if item.image_set == image_set.name}
    digest = hashlib.sha256("".join(hashes[pair] for pair in image_set.pairs if pair in hashes).encode())
    return {
        "name": image_set.name,
        "scale": image_set.scale,
        "images": len(image_set.pairs),
        "sha256": digest.hexdigest(),
        "lr": "files" if image_set.low_folder else "MATLAB bicubic",
    }


def _spread(count: int, wanted: int) -> list[int]:
    """Choose numbers below `count`, evenly spread."""
    return [number * count // wanted for number in range(wanted)] if wanted < count else list(range(count))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}.") from error
