"""The terminal's table of a benchmark: methods down, sets across, in as many parts as its width asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lsm.benchmark.results import ImageResult, Mean, means

if TYPE_CHECKING:
    from rich.console import Group

_EDGES = 3  # characters that a column takes beside its content


def live_table(rows: Sequence[ImageResult], protocol: str, width: int) -> Group:
    """Make the table of the means so far.

    Args:
        rows: What was measured.
        protocol: What to say above the table.
        width: Characters in a line. Sets that find no room beside the others go to a further table below, which names
            the methods again.

    Returns:
        The tables, one below the other.
    """
    from rich.console import Group
    from rich.table import Table

    names, columns = _content(rows)
    parts = _parts(columns, width - 1 - sum(_width(title, cells) for title, cells in names.items()))
    tables = []
    measures = "PSNR (dB) / SSIM" + (" / LPIPS" if any(row.lpips is not None for row in rows) else "")
    for number, part in enumerate(parts):
        title = f"{protocol}: {measures}" + (", further sets" if number else "")
        table = Table(title=title, title_justify="left")
        for name in names:
            # Names are folded where they alone would fill the line; they never give way to the figures.
            longest = max([len(name), *map(len, names[name])])
            table.add_column(name, overflow="fold", min_width=min(longest, width // 3))
        for name in part:
            table.add_column(name, justify="right", no_wrap=True)
        for cells in zip(*names.values(), *(columns[name] for name in part), strict=True):
            table.add_row(*cells)
        tables.append(table)
    return Group(*tables)


def _content(rows: Iterable[ImageResult]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the columns that name a row, and those of its figures: their cells by the title."""
    groups = means(rows)
    keys = list(dict.fromkeys((mean.scale, mean.model) for mean in groups))
    found = {(mean.scale, mean.model, mean.image_set): mean for mean in groups}
    columns = {}
    for name in dict.fromkeys(mean.image_set for mean in groups):
        images = max(mean.images for mean in groups if mean.image_set == name)
        cells = [found.get((*key, name)) for key in keys]
        columns[f"{name} ({images})"] = [_figures(mean) if mean else "" for mean in cells]
    columns["s/image"] = []
    for key in keys:
        mine = [mean for mean in groups if (mean.scale, mean.model) == key]
        seconds = sum(mean.seconds * mean.images for mean in mine) / sum(mean.images for mean in mine)
        columns["s/image"].append(f"{seconds:.3f}")
    return {"scale": [f"×{scale}" for scale, _ in keys], "model": [model for _, model in keys]}, columns


def _figures(mean: Mean) -> str:
    return f"{mean.psnr:.2f}/{mean.ssim:.4f}" + ("" if mean.lpips is None else f"/{mean.lpips:.4f}")


def _parts(columns: dict[str, list[str]], room: int) -> list[list[str]]:
    """Spread columns over tables, each with room for so many characters; each table has one at least."""
    parts: list[list[str]] = [[]]
    left = room
    for title, cells in columns.items():
        needed = _width(title, cells)
        if needed > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append(title)
        left -= needed
    return parts


def _width(title: str, cells: Sequence[str]) -> int:
    return max(map(len, [title, *cells])) + _EDGES
