"""A page of one run or several: curves of losses and metrics, and the images of each validation side by side.

Everything is inside the one file, which opens without a network.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from lsm.benchmark.html import data_uri, fill
from lsm.data.pairs import list_images, lr_stems
from lsm.errors import InputError
from lsm.files import write_text
from lsm.image.io import read_rgb
from lsm.training.curves import FILE, Curves, Points, read_curves

_PAGE = Path(__file__).with_name("page")
MOST_SHOTS = 10
"""Validations of which an image is shown."""


@dataclass(frozen=True)
class Run:
    """A run and what it left.

    Attributes:
        folder: `experiments/NAME`.
        options: The config that it keeps; empty if it keeps none.
        curves: Its curves.
    """

    folder: Path
    options: dict[str, Any]
    curves: Curves

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.options.get("name", self.folder.name))


def read_run(folder: Path) -> Run:
    """Read a run.

    Args:
        folder: Its folder, or its name under `experiments`.

    Raises:
        InputError: If it is no folder of a run, or has no curves yet.
    """
    if not folder.exists() and (Path("experiments") / folder).is_dir():
        folder = Path("experiments") / folder
    curves = read_curves(folder)
    if not curves.losses and not curves.metrics:
        raise InputError(f"{folder}: holds no curves ({FILE}) of a training; give a folder of experiments.")
    kept = folder / f"{folder.name}.yml"
    options = yaml.safe_load(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    return Run(folder, options, curves)


def write_report(folders: Sequence[Path], output: Path | None = None, images: int = 4, side: int = 256) -> Path:
    """Write the page.

    Args:
        folders: Folders of runs, or their names; their curves are drawn together.
        output: The file; `report.html` in the first run's folder by default.
        images: Images of each dataset to show, of those that `val.save_img` has written; 0 for none.
        side: Pixels of a side of what is shown of them.

    Returns:
        The file.

    Raises:
        InputError: If one is no folder of a run.
    """
    runs = [read_run(folder) for folder in folders]
    columns, rows = _table(runs)
    content = {
        "columns": columns,
        "runs": [{"name": run.name, "cells": cells} for run, cells in zip(runs, rows, strict=True)],
        "charts": _charts(runs),
        "images": [strip for run in runs for strip in _strips(run, images, side, len(runs) > 1)],
    }
    target = output or runs[0].folder / "report.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, fill(_PAGE, "run", content))
    return target


def _charts(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """List the charts: a loss, or a metric of a dataset, in all runs that have it."""
    found: dict[str, dict[str, Any]] = {}

    def add(title: str, number: int, points: Points, loss: bool = False) -> None:
        if points:
            chart = found.setdefault(title, {"title": title, "loss": loss, "curves": []})
            chart["curves"].append({"run": number, "points": sorted(points.items())})

    for number, run in enumerate(runs):
        for name, points in run.curves.losses.items():
            add(name, number, points, loss=True)
    for number, run in enumerate(runs):
        for dataset, metrics in run.curves.metrics.items():
            for name, points in metrics.items():
                add(f"{name}, {dataset}", number, points)
    for number, run in enumerate(runs):
        add("learning rate", number, run.curves.rates)
        add("seconds an iteration", number, run.curves.seconds)
    return list(found.values())


def _table(runs: Sequence[Run]) -> tuple[list[str], list[list[str]]]:
    """Return the titles and the cells of the runs' table: iterations, and the best of each metric and when it was."""
    keys = list(
        dict.fromkeys((name, metric) for run in runs for name, each in run.curves.metrics.items() for metric in each)
    )
    rows = []
    for run in runs:
        last = max([*run.curves.rates, *(i for each in run.curves.metrics.values() for p in each.values() for i in p)])
        cells = [run.name, f"{last:,}"]
        for dataset, metric in keys:
            points = run.curves.metrics.get(dataset, {}).get(metric, {})
            cells.append(_best(points, _better(run, metric)))
        rows.append(cells)
    return ["run", "iterations", *(f"best {metric}, {dataset}" for dataset, metric in keys)], rows


def _better(run: Run, metric: str) -> str:
    return str(run.options.get("val", {}).get("metrics", {}).get(metric, {}).get("better", "higher"))


def _best(points: Points, better: str) -> str:
    if not points:
        return "–"
    at = (min if better == "lower" else max)(points, key=lambda each: points[each])
    return f"{points[at]:.4f} at {at:,}"


def _strips(run: Run, images: int, side: int, several: bool) -> list[dict[str, Any]]:
    """List the images that the validations have written, each as a row of pictures by iteration."""
    strips = []
    root = run.folder / "visualization"
    for folder in sorted(path for path in root.glob("*") if path.is_dir()) if images else ():
        for image in sorted(path for path in folder.iterdir() if path.is_dir())[:images]:
            files = {int(path.stem.rsplit("_", 1)[1]): path for path in image.glob(f"{image.name}_*.png")}
            shots = [_shot(f"{number:,}", files[number], side) for number in _spread(sorted(files))]
            truth = _truth(run, folder.name, image.name)
            if truth:
                shots.append(_shot("true", truth, side))
            if files:
                title = f"{run.name}: {image.name}" if several else image.name
                strips.append({"set": folder.name, "title": title, "shots": shots})
    return strips


def _spread(numbers: list[int]) -> list[int]:
    """Choose at most so many, the first, the last and some evenly between."""
    if len(numbers) <= MOST_SHOTS:
        return numbers
    places = np.linspace(0, len(numbers) - 1, MOST_SHOTS).round().astype(int)
    return [numbers[place] for place in places]


def _shot(caption: str, file: Path, side: int) -> dict[str, Any]:
    """Cut the middle out of an image."""
    image = read_rgb(file)
    top, left = (max(0, (length - side) // 2) for length in image.shape[:2])
    window = Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    content = io.BytesIO()
    window.save(content, "PNG")
    return {"caption": caption, "source": data_uri("image/png", content.getvalue()), "width": window.width}


def _truth(run: Run, dataset: str, stem: str) -> Path | None:
    """Find the true image of a validation's, in the folders that the run's config names."""
    scale = int(run.options.get("scale", 1))
    for key, settings in run.options.get("datasets", {}).items():
        roots = settings.get("dataroot_gt") or []
        if key == "train" or settings.get("name") != dataset:
            continue
        for root in [roots] if isinstance(roots, str) else roots:
            for path in list_images(Path(root)) if Path(root).is_dir() else ():
                if stem == path.stem or stem in lr_stems(path.stem, scale):
                    return path
    return None
