"""Plot PSNR against time and parameters: the embedded ×4 weights, bicubic, and peers with their owners' weights.

    python benchmarks/pareto.py results/fast/results.json --plot docs/images/pareto.svg

PSNR of ours and bicubic comes from a report of `lsm benchmark`, that of the peers from peers.yml. Ours, bicubic and
what the library spandrel builds (SPAN-28, DCTLSA; random weights) are timed here in turns, for an output of 1280×720;
the other peers' times are those of peers.yml relative to SPAN-28's there, and are marked by hollow points. Needs the
extras `compare` and `report`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
import yaml
from measuring import in_turns, photo, show, write
from torch import nn

from lsm import load_model
from lsm.allocator import keep_freed_memory
from lsm.benchmark.baselines import BASELINES
from lsm.benchmark.results import read_json

SCALE, HEIGHT, WIDTH = 4, 720, 1280
SETS = ("Set5", "Set14", "B100", "Urban30")
PEERS = Path(__file__).with_name("peers.yml")


def span() -> nn.Module:
    """Build spandrel's SPAN with 28 channels and random weights, as its loader leaves it: in eval mode."""
    from spandrel import ModelLoader
    from spandrel.architectures.SPAN import SPAN

    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=28, upscale=SCALE)
    return ModelLoader().load_from_state_dict({"params": network.state_dict()}).model.eval()


def dctlsa() -> nn.Module:
    """Build spandrel's DCTLSA with random weights, in eval mode."""
    from spandrel.architectures.DCTLSA import DCTLSA

    return DCTLSA(upscale=SCALE).eval()


def measured_rows(report: Path) -> dict[str, dict[str, Any]]:
    """Read parameters and PSNR of ours and of bicubic from the report of a benchmark, by their names."""
    results = read_json(report)
    rows: dict[str, dict[str, Any]] = {
        method.label: {"parameters": method.parameters} for method in results.methods if method.scale == SCALE
    }
    for mean in results.means():
        if mean.scale == SCALE:
            rows[mean.model][mean.image_set] = mean.psnr
    return rows


def peer_rows() -> dict[str, dict[str, Any]]:
    """Read the peers' parameters, PSNR, and times relative to SPAN-28's in the run of that file."""
    content = yaml.safe_load(PEERS.read_text(encoding="utf-8"))
    span_seconds = content["peers"]["SPAN-28"]["seconds"]
    rows: dict[str, dict[str, Any]] = {}
    for name, peer in content["peers"].items():
        rows[name] = {"parameters": peer["parameters"], **dict(zip(SETS, peer["psnr"], strict=True))}
        if "seconds" in peer:
            rows[name]["time"] = peer["seconds"] / span_seconds
    return rows


def seconds(names: list[str], repeats: int, clock: str, image: Path | None) -> dict[str, float]:
    """Time bicubic, spandrel's networks and ours for an output of 1280×720, the least of `repeats` in turns."""
    pixels = photo(image, HEIGHT // SCALE, WIDTH // SCALE)
    small = (255 * pixels[0].permute(1, 2, 0).numpy()).round().astype("uint8")
    networks = {"SPAN-28": span(), "DCTLSA": dctlsa()} | {name: load_model(name, scale=SCALE).eval() for name in names}
    runs: list[Callable[[], object]] = [partial(network, pixels) for network in networks.values()]
    runs.append(partial(BASELINES["bicubic"], small, SCALE))
    with torch.inference_mode():
        times = in_turns(runs, repeats, clock)
    return {name: min(each) for name, each in zip([*networks, "bicubic"], times, strict=True)}


def draw(rows: dict[str, dict[str, Any]], image_set: str, path: Path) -> None:
    """Plot PSNR on one set against time and against parameters; hollow points were timed in another run.

    Bicubic lies far below all others and stands in the table only.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "lsm", "svg.fonttype": "path", "font.size": 8}):
        figure = Figure(figsize=(7.6, 3.4), layout="constrained")
        for axes, cost, label in zip(
            figure.subplots(1, 2, sharey=True),
            ("time", "parameters"),
            ("time of one thread for 1280×720, SPAN-28 = 1", "parameters"),
            strict=True,
        ):
            axes.set(xscale="log", xlabel=label)
            axes.grid(True, alpha=0.25)
            shown = [each for each in rows.items() if each[1].get(cost) and each[1].get(image_set)]
            shown = sorted((each for each in shown if each[0] != "bicubic"), key=lambda each: each[1][image_set])
            for turn, (name, row) in enumerate(shown):
                point(axes, name, row, (cost, image_set), left=turn % 2 == 1)
            axes.margins(0.25, 0.12)
        figure.axes[0].set_ylabel(f"PSNR (dB), {image_set} ×{SCALE}")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def point(axes: Any, name: str, row: dict[str, Any], keys: tuple[str, str], *, left: bool) -> None:
    """Mark one network, its name to the left or to the right."""
    colour = "#0b62c4" if row.get("ours") else "0.4"
    place = (row[keys[0]], row[keys[1]])
    axes.plot(*place, "o", color=colour, markerfacecolor=colour if row.get("timed") else "none")
    offset = {"xytext": (-6, -3), "ha": "right"} if left else {"xytext": (6, -3), "ha": "left"}
    axes.annotate(name, place, textcoords="offset points", color=colour, **offset)


def main(
    report: Path,
    plot: Path = Path("pareto.svg"),
    image_set: str = "Set5",
    threads: int = 1,
    repeats: int = 7,
    clock: str = "wall",
    image: Path | None = None,
    out: Path | None = None,
) -> None:
    """Print the table, draw the plot and write both; `report` is the results.json of a benchmark with bicubic."""
    torch.manual_seed(0)
    keep_freed_memory()  # as the `lsm` command does
    torch.set_num_threads(threads)
    ours = measured_rows(report)
    rows = peer_rows() | {name: row | {"ours": name != "bicubic"} for name, row in ours.items()}
    times = seconds([name for name in ours if name != "bicubic"], repeats, clock, image)
    for name, value in times.items():
        rows[name] |= {"seconds": round(value, 4), "time": value / times["SPAN-28"], "timed": True}
    table = [
        {"network": name, "parameters": row["parameters"], "s": row.get("seconds", "–")}
        | {"time": f"{row['time']:.2f}" if "time" in row else "–"}
        | {key: f"{row[key]:.2f}" if row.get(key) else "–" for key in SETS}
        for name, row in rows.items()
    ]
    show(table)
    draw(rows, image_set, plot)
    write(out, "pareto", {"threads": threads, "clock": clock, "image": str(image or "astronaut")}, {"networks": table})


if __name__ == "__main__":
    typer.run(main)
