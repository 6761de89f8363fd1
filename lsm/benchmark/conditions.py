"""What methods make of real images: every condition of `real-sr-y`, over bicubic of the same input, and the worst."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lsm.benchmark.results import ImageResult

BASELINE = "bicubic"
"""The method over which gains are measured, where it is among those that ran."""


@dataclass(frozen=True)
class ConditionResult:
    """One method in one condition of one set.

    Attributes:
        model: The method's label.
        image_set: The set, without its condition.
        scale: Scale.
        condition: Name of the condition; "worst" for that of the smallest gain.
        psnr: Mean, decibels.
        gain: Mean of PSNR over bicubic of the same images, decibels; none where bicubic was not run.
        above: Share of the images on which it is not below bicubic; none likewise.
    """

    model: str
    image_set: str
    scale: int
    condition: str
    psnr: float
    gain: float | None
    above: float | None


def summarize(rows: Iterable[ImageResult]) -> list[ConditionResult]:
    """Return each method's results by set, scale and condition, the worst of each set last.

    Args:
        rows: Of a run whose sets are named as SET-CONDITION.
    """
    groups: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in rows:
        groups.setdefault((row.image_set, row.scale, row.model), {})[row.image] = row.psnr
    results: list[ConditionResult] = []
    for (name, scale, model), images in groups.items():
        image_set, _, condition = name.rpartition("-")
        values = np.array(list(images.values()))
        base = groups.get((name, scale, BASELINE))
        gains = None
        if base is not None and base.keys() == images.keys():
            gains = values - np.array([base[image] for image in images])
        gain = None if gains is None else float(gains.mean())
        above = None if gains is None else float(np.mean(gains >= 0))
        results.append(ConditionResult(model, image_set, scale, condition, float(values.mean()), gain, above))
    return [*results, *_worst(results)]


def _worst(results: Sequence[ConditionResult]) -> list[ConditionResult]:
    """Return each method's condition of least gain by set; for bicubic, or without it, that of least PSNR."""
    worst = []
    for key in dict.fromkeys((each.model, each.image_set, each.scale) for each in results):
        mine = [each for each in results if (each.model, each.image_set, each.scale) == key]
        by_psnr = key[0] == BASELINE or any(each.gain is None for each in mine)
        least = min(mine, key=lambda each: each.psnr if by_psnr or each.gain is None else each.gain)
        shares = [each.above for each in mine if each.above is not None]
        worst.append(
            ConditionResult(*key, f"worst: {least.condition}", least.psnr, least.gain, min(shares, default=None))
        )
    return worst


def markdown(rows: Iterable[ImageResult]) -> str:
    """Write the table: conditions down, methods across; PSNR, gain over bicubic, share of images not below it."""
    results = summarize(rows)
    models = list(dict.fromkeys(each.model for each in results))
    parts: list[str] = []
    for image_set, scale in dict.fromkeys((each.image_set, each.scale) for each in results):
        mine = [each for each in results if (each.image_set, each.scale) == (image_set, scale)]
        parts += [f"| {image_set} ×{scale} | {' | '.join(models)} |", f"|:--|{':-:|' * len(models)}"]
        plain = dict.fromkeys(each.condition for each in mine if not each.condition.startswith("worst"))
        for condition in plain:
            found = {each.model: _cell(each) for each in mine if each.condition == condition}
            cells = [found.get(model, "–") for model in models]
            parts.append(f"| {condition} | {' | '.join(cells)} |")
        last = [each for model in models for each in mine if each.model == model and each.condition.startswith("worst")]
        named = [f"{each.condition.removeprefix('worst: ')} {_cell(each)}" for each in last]
        parts += [f"| worst | {' | '.join(named)} |", ""]
    note = "PSNR in dB (gain over bicubic of the same LR, share of images not below bicubic)."
    return "\n".join([*parts, note, ""])


def _cell(result: ConditionResult) -> str:
    if result.gain is None or result.above is None or result.model == BASELINE:
        return f"{result.psnr:.2f}"
    return f"{result.psnr:.2f} ({result.gain:+.2f}, {result.above:.0%})"
