"""Time a training step of LSM-light against SwinIR-light, and compare the losses of bfloat16 and float32.

    python benchmarks/training.py steps --batch 8 --size 64
    python benchmarks/training.py curves --steps 500

Steps run in turns: forward, L1 loss, backward, AdamW. Curves train `tiny` at ×2 on patches of one photograph, three
times on the same patches: float32; bfloat16; and float32 from other initial weights, whose distance from the first is
the noise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import typer
from measuring import Row, in_turns, photo, show, swinir, write
from torch import Tensor, nn

from lsm import create_model
from lsm.image.resize import imresize
from lsm.inference.memory import peak_memory

app = typer.Typer()
CPU = torch.device("cpu")


def step(model: nn.Module, optimizer: torch.optim.Optimizer, low: Tensor, high: Tensor, bf16: bool) -> float:
    """Do one step of training and return the loss, which is computed in float32."""
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = model(low)
    loss = (output.float() - high).abs().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer of the recipes."""
    return torch.optim.AdamW(model.parameters(), 2e-4, betas=(0.9, 0.9), weight_decay=0, fused=True)


@app.command()
def steps(
    batch: int = 8, size: int = 64, repeats: int = 2, threads: int = 1, clock: str = "wall", image: Path | None = None,
    out: Path | None = None,
) -> None:  # fmt: skip
    """Measure time and peak memory of a step at ×2, with and without checkpointing and bfloat16."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    wide = photo(image, 2 * size, 2 * size * batch)
    high = torch.cat(wide.split(2 * size, dim=3))
    low = torch.nn.functional.avg_pool2d(high, 2)
    runs: dict[str, Callable[[], float]] = {}
    for name, model, bf16 in (
        ("LSM-light", create_model("light", 2), False),
        ("LSM-light, checkpointing", create_model("light", 2).checkpoint_blocks(), False),
        ("LSM-light, bf16", create_model("light", 2), True),
        ("SwinIR-light", swinir("light", 2), False),
    ):
        runs[name] = partial(step, model.train(), adamw(model), low, high, bf16)
    times = [min(each) for each in in_turns(list(runs.values()), repeats, clock)]
    rows: list[Row] = [
        {"network": name, "s a step": round(time, 2), "against SwinIR-light": round(time / times[-1], 2),
         "peak MiB": peak_memory(run, CPU) >> 20}
        for (name, run), time in zip(runs.items(), times, strict=True)
    ]  # fmt: skip
    show(rows)
    write(out, "training_steps", {"batch": batch, "size": size, "threads": threads, "clock": clock}, {"steps": rows})


def train(pixels: Tensor, count: int, seed: int, bf16: bool, size: int = 24, batch: int = 4) -> list[float]:
    """Train `tiny` at ×2 on random patches of an image (1, 3, H, W) and return the losses; weights by `seed`."""
    torch.manual_seed(seed)
    model = create_model("tiny", 2).train()
    optimizer, generator = adamw(model), torch.Generator().manual_seed(0)
    lowered = imresize(pixels[0].permute(1, 2, 0).numpy(), 0.5)
    lr_image = torch.from_numpy(lowered).float().permute(2, 0, 1)
    losses = []
    for _ in range(count):
        corners = [
            [int(torch.randint(side - size, (), generator=generator)) for side in lr_image.shape[1:]]
            for _ in range(batch)
        ]
        low = torch.stack([lr_image[:, y : y + size, x : x + size] for y, x in corners])
        high = torch.stack([pixels[0, :, 2 * y : 2 * (y + size), 2 * x : 2 * (x + size)] for y, x in corners])
        losses.append(step(model, optimizer, low, high, bf16))
    return losses


@app.command()
def curves(steps: int = 500, threads: int = 1, image: Path | None = None, out: Path | None = None) -> None:
    """Train three times and print the mean loss of each fifth of the steps, and how far the curves are apart."""
    torch.set_num_threads(threads)
    pixels = photo(image, 512, 512)
    runs = {"fp32": (1, False), "bf16": (1, True), "fp32, other initial weights": (2, False)}
    losses = {name: torch.tensor(train(pixels, steps, *setting)) for name, setting in runs.items()}
    rows: list[Row] = []
    for name, curve in losses.items():
        fifths: Row = {f"fifth {i + 1}": round(part.mean().item(), 5) for i, part in enumerate(curve.chunk(5))}
        distance = (curve - losses["fp32"]).abs().mean() / losses["fp32"].mean()
        rows.append({"run": name, **fifths, "mean |Δ| to fp32": f"{distance.item():.2%}"})
    show(rows)
    write(out, "training_curves", {"steps": steps, "threads": threads},
          {"means": rows, "losses": [{name: curve.tolist()} for name, curve in losses.items()]})  # fmt: skip


if __name__ == "__main__":
    app()
