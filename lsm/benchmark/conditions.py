"""What methods make of real images: every condition of `real-sr-y`, over bicubic of the same input, and the worst."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lsm.benchmark.results import ImageResult

BASELINE = "bicubic"
"""The method over which gains are measured, where it is among those that ran."""


@dataclass(frozen=True)
class Measure:
    """What conditions are judged by.

    Attributes:
        name: Of the figure in `ImageResult`.
        sign: 1 where higher is better, -1 where lower is.
        digits: Decimals in tables.
        note: What a table says of its cells.
    """

    name: Literal["psnr", "lpips"]
    sign: int
    digits: int
    note: str


PSNR = Measure("psnr", 1, 2, "PSNR in dB (gain over bicubic of the same LR, share of images not below bicubic).")
LPIPS = Measure(
    "lpips", -1, 4, "LPIPS, lower is better (minus that of bicubic of the same LR, share of images not above bicubic)."
)


@dataclass(frozen=True)
class ConditionResult:
    """One method in one condition of one set, by one measure.

    Attributes:
        model: The method's label.
        image_set: The set, without its condition.
        scale: Scale.
        condition: Name of the condition; "worst: NAME" for that of the smallest gain.
        value: Mean of the measure over the images.
        gain: How much better than bicubic of the same images in the mean, whichever direction is better; none where
            bicubic was not run.
        above: Share of the images on which it is not worse than bicubic; none likewise.
    """

    model: str
    image_set: str
    scale: int
    condition: str
    value: float
    gain: float | None
    above: float | None


def summarize(rows: Iterable[ImageResult], measure: Measure = PSNR) -> list[ConditionResult]:
    """Return each method's results by set, scale and condition, the worst of each set last.

    Args:
        rows: Of a run whose sets are named as SET-CONDITION.
        measure: What counts; rows without it are left out.
    """
    groups: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in rows:
        value = getattr(row, measure.name)
        if value is not None:
            groups.setdefault((row.image_set, row.scale, row.model), {})[row.image] = value
    results: list[ConditionResult] = []
    for (name, scale, model), images in groups.items():
        image_set, _, condition = name.rpartition("-")
        values = np.array(list(images.values()))
        base = groups.get((name, scale, BASELINE))
        gains = None
        if base is not None and base.keys() == images.keys():
            gains = measure.sign * (values - np.array([base[image] for image in images]))
        gain = None if gains is None else float(gains.mean())
        above = None if gains is None else float(np.mean(gains >= 0))
        results.append(ConditionResult(model, image_set, scale, condition, float(values.mean()), gain, above))
    return [*results, *_worst(results, measure)]


def _worst(results: Sequence[ConditionResult], measure: Measure) -> list[ConditionResult]:
    """Return each method's condition of least gain by set; for bicubic, or without it, that of the worst value."""
    worst = []
    for key in dict.fromkeys((each.model, each.image_set, each.scale) for each in results):
        mine = [each for each in results if (each.model, each.image_set, each.scale) == key]
        by_value = key[0] == BASELINE or any(each.gain is None for each in mine)
        least = min(mine, key=lambda each: measure.sign * each.value if by_value or each.gain is None else each.gain)
        shares = [each.above for each in mine if each.above is not None]
        worst.append(
            ConditionResult(*key, f"worst: {least.condition}", least.value, least.gain, min(shares, default=None))
        )
    return worst


def markdown(rows: Sequence[ImageResult]) -> str:
    """Write the tables by PSNR, and by LPIPS where it was measured: conditions down, methods across."""
    measures = [PSNR, LPIPS] if any(row.lpips is not None for row in rows) else [PSNR]
    return "\n".join(_tables(summarize(rows, measure), measure) for measure in measures)


def _tables(results: Sequence[ConditionResult], measure: Measure) -> str:
    """Write a table a set and scale: value, difference to bicubic, share of images not worse than bicubic."""
    models = list(dict.fromkeys(each.model for each in results))
    parts: list[str] = []
    for image_set, scale in dict.fromkeys((each.image_set, each.scale) for each in results):
        mine = [each for each in results if (each.image_set, each.scale) == (image_set, scale)]
        parts += [
            f"| {image_set} ×{scale}, {measure.name.upper()} | {' | '.join(models)} |",
            f"|:--|{':-:|' * len(models)}",
        ]
        plain = dict.fromkeys(each.condition for each in mine if not each.condition.startswith("worst"))
        for condition in plain:
            found = {each.model: _cell(each, measure) for each in mine if each.condition == condition}
            cells = [found.get(model, "–") for model in models]
            parts.append(f"| {condition} | {' | '.join(cells)} |")
        last = [each for model in models for each in mine if each.model == model and each.condition.startswith("worst")]
        named = [f"{each.condition.removeprefix('worst: ')} {_cell(each, measure)}" for each in last]
        parts += [f"| worst | {' | '.join(named)} |", ""]
    return "\n".join([*parts, measure.note, ""])


def _cell(result: ConditionResult, measure: Measure) -> str:
    value = f"{result.value:.{measure.digits}f}"
    if result.gain is None or result.above is None or result.model == BASELINE:
        return value
    return f"{value} ({measure.sign * result.gain:+.{measure.digits}f}, {result.above:.0%})"
