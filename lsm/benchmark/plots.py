"""Plots of quality against cost, as SVG; they need matplotlib, which the extra `report` brings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from lsm.benchmark.published import Published
from lsm.benchmark.results import Results
from lsm.benchmark.tables import Line, set_order, table_lines


def draw(results: Results, rows: Sequence[Published]) -> dict[str, str]:
    """Plot PSNR against parameters and against latency, for each scale, a panel for each set.

    Args:
        results: What was measured.
        rows: Published rows; those with known parameters appear in the first plot.

    Returns:
        SVG by title, e.g. `"PSNR against parameters, ×4"`.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    plots = {}
    sets = set_order(results)
    for scale in dict.fromkeys(image_set["scale"] for image_set in results.sets):
        lines = [line for line in table_lines(results, rows) if line.scale == scale]
        # Published methods whose parameters were not printed have no place in either plot.
        parameters = {
            (line.label, name): line.parameters / 1e3 for line in lines for name in line.values if line.parameters
        }
        known = [line for line in lines if line.parameters or not line.is_published]
        title = f"PSNR against parameters, ×{scale}"
        plots[title] = _figure(title, known, sets, parameters, "parameters (thousands)")
        measured = [line for line in lines if not line.is_published]
        title = f"PSNR against latency, ×{scale}"
        plots[title] = _figure(title, measured, sets, _seconds(results, scale), "seconds an image")
    return plots


def _seconds(results: Results, scale: int) -> dict[tuple[str, str], float]:
    return {(mean.model, mean.image_set): mean.seconds for mean in results.means() if mean.scale == scale}


def _figure(
    title: str, lines: Sequence[Line], sets: Sequence[str], cost: dict[tuple[str, str], float], label: str
) -> str:
    """Draw one figure: PSNR over a logarithmic cost; methods without that cost, interpolation, are dashed lines."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    # The salt and the missing date make the same results give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "lsm", "svg.fonttype": "path", "font.size": 8}):
        figure = Figure(figsize=(max(3.4 * len(sets), 4.5), 3.1), layout="constrained")
        figure.suptitle(title, fontsize=9)
        for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
            axes.set(title=name, xscale="log", xlabel=label)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.grid(True, which="major", alpha=0.25)
            for line in lines:
                if name in line.values:
                    _point(axes, line, line.values[name].psnr, cost.get((line.label, name)))
            axes.margins(0.35, 0.15)
        figure.axes[0].set_ylabel("PSNR (dB)")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _point(axes: Any, line: Line, quality: float, cost: float | None) -> None:
    """Mark one method, filled if it was measured here."""
    colour = "0.5" if line.is_published else "#0b62c4"
    if cost is None:
        axes.axhline(quality, color=colour, linewidth=0.8, linestyle="--")
        place = {"xycoords": ("axes fraction", "data"), "ha": "left", "va": "bottom"}
        axes.annotate(line.label, (0.01, quality), color=colour, **place)
        return
    axes.plot(cost, quality, "o", color=colour, markerfacecolor="none" if line.is_published else colour)
    axes.annotate(line.label, (cost, quality), xytext=(4, 4), textcoords="offset points", color=colour)
