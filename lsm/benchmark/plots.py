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
    for scale in dict.fromkeys(image_set["scale"] for image_set in results.sets):
        lines = [line for line in table_lines(results, rows) if line.scale == scale]
        seconds = _seconds(results, scale)
        plots[f"PSNR against parameters, ×{scale}"] = _figure(
            lines,
            set_order(results),
            {(line.label, name): line.parameters / 1e3 for line in lines for name in line.values if line.parameters},
            "parameters (thousands)",
        )
        measured = [line for line in lines if not line.is_published]
        plots[f"PSNR against latency, ×{scale}"] = _figure(measured, set_order(results), seconds, "seconds a picture")
    return plots


def _seconds(results: Results, scale: int) -> dict[tuple[str, str], float]:
    return {(mean.model, mean.image_set): mean.seconds for mean in results.means() if mean.scale == scale}


def _figure(lines: Sequence[Line], sets: Sequence[str], cost: dict[tuple[str, str], float], label: str) -> str:
    """Draw one figure: PSNR over a logarithmic cost; methods without that cost are dashed lines."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "lsm", "svg.fonttype": "path", "font.size": 8}):
        figure = Figure(figsize=(3.6 * len(sets), 2.9), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(sets), squeeze=False)[0], sets, strict=True):
            axes.set(title=name, xscale="log", xlabel=label)
            axes.grid(True, which="major", alpha=0.25)
            for line in lines:
                if name in line.values:
                    _point(axes, line, line.values[name][0], cost.get((line.label, name)))
            axes.margins(0.18, 0.12)
        figure.axes[0].set_ylabel("PSNR (dB)")
        text = io.StringIO()
        # Without a date the same results give the same file.
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _point(axes: Any, line: Line, quality: float, cost: float | None) -> None:
    """Mark one method, filled if it was measured here."""
    colour = "0.55" if line.is_published else "#0b62c4"
    if cost is None:
        axes.axhline(quality, color=colour, linewidth=0.8, linestyle="--")
        axes.annotate(
            line.label, (0.99, quality), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=colour
        )
        return
    axes.plot(cost, quality, "o", color=colour, markerfacecolor="none" if line.is_published else colour)
    axes.annotate(line.label, (cost, quality), xytext=(4, 4), textcoords="offset points", color=colour)
