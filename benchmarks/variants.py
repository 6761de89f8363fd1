"""Time and memory of an ablation's variants, in turns: an image, and a training step at the plan's batch.

    python scripts/mixer_plan.py > mixers.yml && python benchmarks/variants.py mixers.yml --clock cpu

What the trainings themselves say of their speed holds only where nothing else ran beside them. Weights are random;
memory is what torch allocates at its peak.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
from measuring import Row, in_turns, photo, show, write
from torch import Tensor, nn

from lsm.ablation.plan import list_runs, read_plan
from lsm.allocator import keep_freed_memory
from lsm.inference.memory import peak_memory
from lsm.training.arch import LSM


def network_of(options: dict[str, Any]) -> nn.Module:
    """Build the network of a run's options, as its training does."""
    return LSM(**{name: value for name, value in options.items() if name != "type"})


def upscale(pixels: Tensor, model: nn.Module) -> None:
    """Run a network over an image."""
    with torch.inference_mode():
        model.eval()(pixels)


def step(patches: Tensor, model: nn.Module) -> None:
    """Compute the gradient of a batch."""
    model.train().zero_grad()
    model(patches).abs().mean().backward()


def main(
    plan: Path, side: int = 64, threads: int = 1, repeats: int = 3, clock: str = "wall", out: Path | None = None
) -> None:
    """Print the table and write it; `--side` is of the low-resolution image, `--clock` is wall or cpu."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    keep_freed_memory()  # as the `lsm` command does
    runs = list_runs(read_plan(plan))
    runs = [run for run in runs if run.seed == runs[0].seed]
    train, scale = runs[0].options["datasets"]["train"], runs[0].options["scale"]
    pixels = photo(None, side, side)
    patches = torch.rand(train["batch_size"], 3, *[train["gt_size"] // scale] * 2)
    models = [network_of(run.options["network_g"]) for run in runs]
    rows: list[Row] = [
        {"variant": run.variant, "parameters": sum(parameter.numel() for parameter in model.parameters())}
        for run, model in zip(runs, models, strict=True)
    ]
    for name, work in ((f"{side}×{side}", partial(upscale, pixels)), ("step", partial(step, patches))):
        calls = [partial(work, model) for model in models]
        for row, call, times in zip(rows, calls, in_turns(calls, repeats, clock), strict=True):
            row[f"{name} ms"] = round(1000 * min(times), 1)
            row[f"{name} MiB"] = round(peak_memory(call, torch.device("cpu")) / 2**20, 1)
    show(rows)
    write(out, "variants", {"plan": plan.name, "threads": threads, "clock": clock}, {"variants": rows})


if __name__ == "__main__":
    typer.run(main)
