"""What an ablation found: a table with paired differences and their intervals, and training curves."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from lsm.ablation.plan import Plan, Run
from lsm.ablation.runs import Curve
from lsm.benchmark.results import Results
from lsm.benchmark.statistics import Interval, paired_bootstrap, seeds_margin


@dataclass(frozen=True)
class Cell:
    """One variant on one set.

    Attributes:
        psnr: Mean over images and seeds, dB.
        ssim: Mean over images and seeds.
        spread: Standard deviation over the seeds of the set's mean PSNR, dB; 0 for one seed.
        difference: From the reference: the mean over the seeds, paired by seed and image; its interval is a
            bootstrap over the images. None for the reference itself.
        margin: Half of the difference's 95% interval over the seeds, dB; infinite for one seed.
    """

    psnr: float
    ssim: float
    spread: float
    difference: Interval | None
    margin: float


Images = dict[tuple[str, int], dict[str, tuple[float, float]]]
"""PSNR and SSIM by image, of each (variant, seed), on one set."""


def cells(plan: Plan, runs: Sequence[Run], results: Results) -> dict[tuple[str, str], Cell]:
    """Compare variants on each set.

    Args:
        plan: The plan.
        runs: The finished runs.
        results: Of a benchmark in which each run's label is its name.

    Returns:
        By variant and set.
    """
    by_name = {run.name: run for run in runs}
    sets: dict[str, Images] = {}
    for row in results.rows:
        run = by_name[row.model]
        images = sets.setdefault(row.image_set, {}).setdefault((run.variant, run.seed), {})
        images[row.image] = (row.psnr, row.ssim)
    variants = list(dict.fromkeys(run.variant for run in runs))
    return {(variant, name): _cell(plan, variant, sets[name]) for variant in variants for name in sets}


def _cell(plan: Plan, variant: str, images: Images) -> Cell:
    mine = {seed: values for (name, seed), values in images.items() if name == variant}
    theirs = {seed: values for (name, seed), values in images.items() if name == plan.reference}
    means = [mean(psnr for psnr, _ in values.values()) for values in mine.values()]
    differences = defaultdict(list)
    by_seed = []
    for seed in mine.keys() & theirs.keys():
        each = {name: psnr - theirs[seed][name][0] for name, (psnr, _) in mine[seed].items()}
        by_seed.append(mean(each.values()))
        for name, value in each.items():
            differences[name].append(value)
    interval = None
    if variant != plan.reference and differences:
        interval = paired_bootstrap([mean(values) for values in differences.values()])
    return Cell(
        psnr=mean(means),
        ssim=mean(ssim for values in mine.values() for _, ssim in values.values()),
        spread=stdev(means) if len(means) > 1 else 0.0,
        difference=interval,
        margin=seeds_margin(by_seed),
    )


def table(plan: Plan, runs: Sequence[Run], results: Results, curves: Mapping[str, Curve]) -> str:
    """Write the table as Markdown.

    Args:
        plan: The plan.
        runs: The finished runs.
        results: As in `cells`.
        curves: By the name of the run.
    """
    found = cells(plan, runs, results)
    parameters = {info.label: info.parameters for info in results.methods}
    names = list(dict.fromkeys(row.image_set for row in results.rows))
    head = ["variant", "parameters", "s a step", "seeds", *(f"{name} PSNR / SSIM, difference" for name in names)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for variant in dict.fromkeys(run.variant for run in runs):
        mine = [run for run in runs if run.variant == variant]
        seconds = mean(curves[run.name].seconds for run in mine)
        label = f"**{variant}** (reference)" if variant == plan.reference else variant
        values = [_text(found[variant, name]) for name in names]
        lines.append(f"| {label} | {parameters[mine[0].name]:,} | {seconds:.3f} | {len(mine)} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def _text(cell: Cell) -> str:
    """Write a cell: the difference ± its margin over the seeds, and its interval over the images.

    It is bold where neither the choice of images nor training anew explains it; one seed never does.
    """
    text = f"{cell.psnr:.2f} / {cell.ssim:.4f}"
    if cell.difference is None:
        return f"{text} (σ {cell.spread:.3f})"
    item = cell.difference
    sure = "**" if item.excludes_zero and abs(item.mean) > cell.margin else ""
    margin = f" ± {cell.margin:.3f}" if math.isfinite(cell.margin) else ""
    return f"{text}, {sure}{item.mean:+.3f}{sure}{margin} [{item.low:+.3f}, {item.high:+.3f}]"


def draw_curves(runs: Sequence[Run], curves: Mapping[str, Curve]) -> str:
    """Draw the mean loss of each variant's seeds over the iterations, as SVG; no two lines of up to thirty look alike.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    import matplotlib
    from cycler import cycler
    from matplotlib.figure import Figure

    looks = cycler(linestyle=["-", "--", ":"]) * matplotlib.rcParamsDefault["axes.prop_cycle"]
    with matplotlib.rc_context({"svg.hashsalt": "lsm", "font.size": 8, "axes.prop_cycle": looks}):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for variant in dict.fromkeys(run.variant for run in runs):
            mine = [curves[run.name].losses for run in runs if run.variant == variant]
            steps = sorted(set(mine[0]).intersection(*mine))
            axes.plot(steps, [mean(losses[step] for losses in mine) for step in steps], label=variant, linewidth=1)
        axes.set(xlabel="iteration", ylabel="training loss, mean over seeds", yscale="log")
        axes.legend(ncols=2)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
