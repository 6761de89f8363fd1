"""What a benchmark has to do: its sets, and every image of them for every method, each with the key of its result."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from lsm.benchmark.evaluate import ImageTask, evaluate
from lsm.benchmark.journal import result_key
from lsm.benchmark.methods import MethodInfo, MethodSpec, device_kind
from lsm.benchmark.settings import BenchmarkOptions, Settings
from lsm.data.datasets import ImageSet, find_set
from lsm.data.pairs import pair_hash
from lsm.data.real_sr import CONDITIONS
from lsm.errors import InputError, OptionError
from lsm.metrics.perceptual import load_network
from lsm.profiling.code_hash import code_hash
from lsm.version import installed_version
from lsm.weights.identity import state_hash


def find_sets(options: BenchmarkOptions) -> list[ImageSet]:
    """Find all sets at all scales, cut to the limit.

    Raises:
        InputError: If a set is missing or incomplete.
        OptionError: If the limit is below 1, or a set is named twice.
    """
    if options.limit is not None and options.limit < 1:
        raise OptionError(f"`limit` must be at least 1, not {options.limit}.")
    of_set = _real_sets if options.settings.family == "real-sr" else _classical_sets
    found = [each for scale in options.scales for name in options.sets for each in of_set(options.data, name, scale)]
    names = [(image_set.name, image_set.scale) for image_set in found]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise OptionError(f"`sets` names {double[0]} twice.")
    return [dataclasses.replace(image_set, pairs=image_set.pairs[: options.limit]) for image_set in found]


def _classical_sets(root: Path, name: str, scale: int) -> list[ImageSet]:
    return [find_set(root, name, scale)]


def _real_sets(root: Path, name: str, scale: int) -> list[ImageSet]:
    """Find a set in all conditions, each a set of its own, such as B100-jpeg75."""
    found = []
    for condition in CONDITIONS:
        image_set = find_set(root, name, scale, lr_folder=None if condition.is_clean else condition.folder)
        found.append(dataclasses.replace(image_set, name=f"{image_set.name}-{condition.name}"))
    return found


def list_tasks(
    options: BenchmarkOptions,
    settings: Settings,
    sets: Sequence[ImageSet],
    methods: Sequence[tuple[MethodSpec, MethodInfo]],
) -> list[ImageTask]:
    """List every image for every method, by scale, method and set.

    Args:
        options: Of the benchmark.
        settings: How this process runs the methods.
        sets: As `find_sets` returns them.
        methods: What to load, and what it was found to be.

    Returns:
        The tasks. Those whose crops a report shows name the folder of crops, which is made.

    Raises:
        InputError: If an image cannot be read, or the folder of crops cannot be made.
        LSMError: If LPIPS is to be measured and its network cannot be loaded.
    """
    hashes = {pair: pair_hash(pair) for image_set in sets for pair in image_set.pairs}
    facts = _common_facts(settings)
    crops = options.report / "crops"
    if options.crops:
        _make_folder(crops)
    tasks: list[ImageTask] = []
    for spec, info, image_set in _combinations(options.scales, sets, methods):
        shown = set(_spread(len(image_set.pairs), options.crops))
        visual = options.visual / info.label / image_set.name / f"x{info.scale}" if options.visual else None
        for number, pair in enumerate(image_set.pairs):
            task = ImageTask(
                method=spec,
                label=info.label,
                image_set=image_set.name,
                scale=info.scale,
                pair=pair,
                data=hashes[pair],
                key=result_key({**facts, "model": info.sha256, "data": hashes[pair], "scale": info.scale}),
                crops=crops if number in shown else None,
                visual=visual / f"{pair.name}.png" if visual else None,
            )
            tasks.append(task)
    return tasks


def describe_set(image_set: ImageSet, tasks: Sequence[ImageTask]) -> dict[str, Any]:
    """Describe a set: how many images, which bytes, and where LR came from."""
    hashes = {task.pair: task.data for task in tasks if task.image_set == image_set.name}
    digest = hashlib.sha256("".join(hashes[pair] for pair in image_set.pairs if pair in hashes).encode())
    return {
        "name": image_set.name,
        "scale": image_set.scale,
        "images": len(image_set.pairs),
        "sha256": digest.hexdigest(),
        "lr": "files" if image_set.lr_folder else "MATLAB bicubic",
    }


def _combinations(
    scales: Sequence[int], sets: Sequence[ImageSet], methods: Sequence[tuple[MethodSpec, MethodInfo]]
) -> Iterator[tuple[MethodSpec, MethodInfo, ImageSet]]:
    """Yield each method with each set of its scale."""
    for scale in scales:
        for spec, info in methods:
            if info.scale == scale:
                yield from ((spec, info, image_set) for image_set in sets if image_set.scale == scale)


def _common_facts(settings: Settings) -> dict[str, Any]:
    """Collect what all figures of a run depend on."""
    facts = {
        "protocol": settings.protocol,
        "text": settings.protocol_text,
        "ensemble": settings.ensemble,
        "device": device_kind(settings),
        "code": code_hash(evaluate.__module__),
        "torch": torch.__version__,
    }
    if settings.lpips:
        facts["lpips"] = [installed_version("lpips"), state_hash(load_network("lpips"))]
    return facts


def _spread(count: int, wanted: int) -> list[int]:
    """Choose numbers below `count`, evenly spread."""
    return [number * count // wanted for number in range(wanted)] if wanted < count else list(range(count))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}.") from error
