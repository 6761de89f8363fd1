"""The field's table: methods down, sets across, PSNR/SSIM (and LPIPS, where measured) in the cells; as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lsm.benchmark.published import Published, counterpart
from lsm.benchmark.results import Mean, Results
from lsm.data.datasets import IMAGES


class Figures(NamedTuple):
    """What a cell shows."""

    psnr: float
    """Decibels."""
    ssim: float
    """At most 1."""
    lpips: float | None = None
    """Lower is better; none where it was not measured, as in published rows."""


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        label: The method's name.
        scale: Scale.
        is_published: Whether the figures are printed ones rather than measured here.
        parameters: Learned numbers, if known.
        macs: For an output of 1280×720, if known.
        values: By the set's name.
    """

    label: str
    scale: int
    is_published: bool
    parameters: int | None
    macs: int | None
    values: dict[str, Figures]


def table_lines(results: Results, rows: Sequence[Published]) -> list[Line]:
    """Join measured and published figures to lines.

    Args:
        results: What was measured.
        rows: Published rows to show.

    Returns:
        Lines by scale, published ones first.
    """
    measured: dict[tuple[str, int], list[Mean]] = {}
    for mean in results.means():
        measured.setdefault((mean.model, mean.scale), []).append(mean)
    lines = [
        Line(row.method, row.scale, True, row.parameters, None, {name: Figures(*pair) for name, pair in found.items()})
        for row in rows
        if (found := comparable(results, row))
    ]
    for method in results.methods:
        means = measured.get((method.label, method.scale), [])
        values = {mean.image_set: Figures(mean.psnr, mean.ssim, mean.lpips) for mean in means}
        lines.append(Line(method.label, method.scale, False, method.parameters, method.macs, values))
    return sorted(lines, key=lambda line: (line.scale, not line.is_published))


def set_order(results: Results) -> list[str]:
    """List the names of the sets in the order of the run, each once."""
    return list(dict.fromkeys(image_set["name"] for image_set in results.sets))


def comparable(results: Results, row: Published) -> dict[str, tuple[float, float]]:
    """Choose the published values that may stand beside the measured ones: of luma, and of sets measured whole.

    Returns:
        PSNR in dB and SSIM by the set's name.
    """
    whole = {s["name"] for s in results.sets if s["scale"] == row.scale and s["images"] == IMAGES.get(s["name"])}
    on_luma = results.settings["channel"] == "y"
    return {name: value for name, value in row.values.items() if on_luma and name in whole}


def set_title(results: Results, name: str) -> str:
    """Return the heading of a set: its name, and how many of its images were measured where it is not all."""
    images = next(image_set["images"] for image_set in results.sets if image_set["name"] == name)
    return name if IMAGES.get(name, images) == images else f"{name} ({images} of {IMAGES[name]})"


def markdown(results: Results, rows: Sequence[Published]) -> str:
    """Write `results.md`: the table, the differences to published rows, and how the figures came about."""
    sets = set_order(results)
    lines = table_lines(results, rows)
    counts = {image_set["name"]: image_set["images"] for image_set in results.sets}
    parts = [f"# {results.protocol}", "", *_main_table(lines, sets, [set_title(results, name) for name in sets]), ""]
    if any(line.is_published for line in lines):
        parts += ["† as published; all others were measured here.", ""]
    parts += _differences(results, lines, sets)
    parts += [
        f"Parameters in millions; MACs in 10⁹ for an output of 1280×720; {measures(results)}; best **bold**, "
        "second <u>underlined</u>.",
        "",
        f"Images: {', '.join(f'{name} {counts[name]}' for name in sets)}. "
        f"LR: {', '.join(sorted({image_set['lr'] for image_set in results.sets}))}.",
        "",
        computed_with(results),
        "",
        "Protocol:",
        "",
        *(f"> {text}" for text in results.protocol_text.splitlines()),
        "",
    ]
    return "\n".join(parts)


def measures(results: Results) -> str:
    """Say what the figures of a cell are."""
    return "PSNR in dB / SSIM" + (" / LPIPS (lower is better)" if results.has_lpips else "")


def computed_with(results: Results) -> str:
    """Describe in one sentence with which versions and hardware the figures were computed."""
    about = results.environment
    parts = [f"lsm {about['lsm'] or 'from source'}"]
    if about["commit"]:
        parts.append(f"commit {about['commit']}")
    if about.get("lpips"):
        parts.append(f"lpips {about['lpips']}")
    parts += [
        f"torch {about['torch']}",
        about["gpu"] or f"{about['cpu']}, {about['threads']} thread{'s' * (about['threads'] > 1)}",
    ]
    return f"Computed with {', '.join(parts)}."


def millions(parameters: int | None) -> str:
    """Write a number of parameters in millions, as tables do; a dash for none."""
    return f"{parameters / 1e6:.3f}" if parameters else "–"


def _main_table(lines: Sequence[Line], sets: Sequence[str], titles: Sequence[str]) -> list[str]:
    head = ["Method", "Scale", "Params", "MACs", *titles]
    table = [_join(head), _join([":--", ":-:", "--:", "--:", *(":-:" for _ in sets)])]
    for line in lines:
        peers = [peer for peer in lines if peer.scale == line.scale]
        cells = [_cell(line, name, peers) for name in sets]
        cost = f"{line.macs / 1e9:.1f}" if line.macs else "–"
        label = f"{line.label} †" if line.is_published else line.label
        table.append(_join([label, f"×{line.scale}", millions(line.parameters), cost, *cells]))
    return table


def _cell(line: Line, name: str, peers: Sequence[Line]) -> str:
    """Write one cell, marked where it is the best or second of its scale."""
    if name not in line.values:
        return "–"
    mine, found = line.values[name], [peer.values[name] for peer in peers if name in peer.values]
    parts = [
        _figure(mine.psnr, [each.psnr for each in found], 2),
        _figure(mine.ssim, [each.ssim for each in found], 4),
    ]
    if any(each.lpips is not None for each in found):
        parts.append(_figure(mine.lpips, [each.lpips for each in found], 4, lower_is_better=True))
    return "/".join(parts)


def _figure(value: float | None, peers: Sequence[float | None], digits: int, lower_is_better: bool = False) -> str:
    """Write one figure of a cell; `peers` are those that it is ranked among, itself included."""
    if value is None:
        return "–"
    # Ranked as shown, so that what looks equal is marked equally.
    ranks = sorted({round(peer, digits) for peer in peers if peer is not None}, reverse=not lower_is_better)
    place = ranks.index(round(value, digits)) if len(ranks) > 1 else -1
    shown = f"{value:.{digits}f}"
    return f"**{shown}**" if place == 0 else f"<u>{shown}</u>" if place == 1 else shown


def _differences(results: Results, lines: Sequence[Line], sets: Sequence[str]) -> list[str]:
    """List, for measured methods whose name was published too, measured minus published."""
    table = []
    for line in lines:
        printed = None if line.is_published else counterpart(line.label, line.scale)
        if printed is None or not comparable(results, printed):
            continue
        cells = []
        for name in sets:
            ours, theirs = line.values.get(name), comparable(results, printed).get(name)
            known = ours and theirs and math.isfinite(ours.psnr)
            cells.append(
                f"{ours.psnr - theirs[0]:+.3f}/{ours.ssim - theirs[1]:+.4f}" if known and ours and theirs else "–"
            )
        table.append(_join([line.label, f"×{line.scale}", *cells]))
    if not table:
        return []
    head = _join(["Measured − published", "Scale", *sets])
    return [head, _join([":--", ":-:", *(":-:" for _ in sets)]), *table, ""]


def _join(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
