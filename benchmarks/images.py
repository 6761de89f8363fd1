"""Profile upscaling of files: how busy the network is, how long it takes to begin, and how memory grows.

    python benchmarks/images.py --megapixels 12 --count 200

Files are written to a temporary folder: one photograph repeated to the megapixels asked for, and small cuts of it, all
of different content. Each is upscaled as `lsm upscale` does it. "Network busy" is the share of the time between the
first image's start and the last file's end that is spent inside the network.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import typer
from measuring import Row, photo, show, write
from torch import nn

from lsm import load_model
from lsm.allocator import keep_freed_memory
from lsm.batch.plan import Job
from lsm.batch.run import Callbacks, upscale_files
from lsm.image.io import write_image
from lsm.inference.upscaler import Upscaler

START = """
import sys, time
import lsm.cli, lsm.batch.run, lsm.inference.upscaler, lsm.weights, torch
start, spent = time.perf_counter(), time.process_time()
torch.set_num_threads(int(sys.argv[3]))
from lsm.batch.plan import Naming, plan
jobs, _ = plan([sys.argv[1]], Naming(__import__("pathlib").Path(sys.argv[1]).parent / "started"))
upscaler = lsm.inference.upscaler.Upscaler(lsm.weights.load_model(sys.argv[2]), device="cpu")
def first(done, total):
    print(time.perf_counter() - start, time.process_time() - spent)
    raise SystemExit
upscaler(sys.argv[1], first)
"""
"""Measures the time from after the imports to the first finished tile, in a process of its own."""


class Stopwatch:
    """Adds up the time inside a network's forward passes, by hooks."""

    def __init__(self, network: nn.Module) -> None:
        self.seconds = 0.0
        network.register_forward_pre_hook(lambda *_: self._start())
        network.register_forward_hook(lambda *_: self._stop())

    def _start(self) -> None:
        self._since = time.perf_counter()

    def _stop(self) -> None:
        self.seconds += time.perf_counter() - self._since


def resident_mib() -> int:
    """Return the memory of this process that is in use now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def profile(name: str, folder: Path, model: str, tile: str) -> Row:
    """Upscale all images of a folder and say where the time went."""
    upscaler = Upscaler(load_model(model), tile=tile, device="cpu")
    side = upscaler.max_tile  # measured once, before the clock runs, as `lsm upscale` does
    watch, memory = Stopwatch(upscaler.model), []
    jobs = [Job(path, folder / "out" / path.name) for path in sorted(folder.glob("*.png"))]
    start = time.perf_counter()
    callbacks = Callbacks(finished=lambda job, text, good: memory.append(resident_mib()))
    summary = upscale_files(jobs, upscaler, callbacks=callbacks)
    total = time.perf_counter() - start
    if len(summary.done) != len(jobs):
        raise SystemExit(f"{len(summary.failed)} files failed: {summary.failed[0][1]}")
    return {
        "files": name, "tile": side, "s": round(total, 1), "network busy": f"{watch.seconds / total:.1%}",
        "MiB after the 10th": memory[min(9, len(memory) - 1)], "MiB at the end": memory[-1],
    }  # fmt: skip


def times(command: list[str]) -> tuple[float, float]:
    """Run a command and return the two numbers that it prints: seconds passed, and seconds of processors."""
    passed, spent = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(passed), float(spent)


def main(
    megapixels: float = 12, count: int = 200, side: int = 64, model: str = "tiny-x2", tile: str = "auto",
    threads: int = 2, image: Path | None = None, out: Path | None = None,
) -> None:  # fmt: skip
    """Profile one large image and `count` small ones of `side` pixels."""
    keep_freed_memory()  # as the `lsm` command does
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        small, large = Path(temporary) / "small", Path(temporary) / "large"
        small.mkdir()
        large.mkdir()
        source = np.round(photo(image, 512, 512)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        for index in range(count):
            y, x = rng.integers(0, 512 - side, 2)
            write_image(small / f"{index:04}.png", source[y : y + side, x : x + side])
        command = [sys.executable, "-c", START, str(small / "0000.png"), model, str(threads)]
        begun = min(times(command) for _ in range(3))
        print(f"Imports to first tile: {begun[0]:.2f} s, of which this process computed {begun[1]:.2f} s")
        rows.append(profile(f"{count} of {side}×{side}", small, model, tile))
        if megapixels:
            height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
            repeats = (-(-height // 512), -(-height * 4 // 3 // 512), 1)
            write_image(large / "photo.png", np.tile(source, repeats)[:height, : height * 4 // 3])
            rows.append(profile(f"one of {megapixels:g} megapixels", large, model, tile))
    show(rows)
    write(out, "images", {"model": model, "threads": threads, "imports to first tile, s": begun[0]}, {"images": rows})


if __name__ == "__main__":
    typer.run(main)
