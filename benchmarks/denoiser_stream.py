"""Measure whether a causal denoiser keeps up with live audio: the time for each block against the block's length.

    python benchmarks/denoiser_stream.py

One thread, one channel. Printed for blocks of several lengths: the median time, the 99th of 100, the longest, and the
median over the length of the block. Beside it the processor time of the whole stream over its length, which other
programs on the machine disturb less.
"""

from __future__ import annotations

import time
from typing import Annotated

import torch
import typer

from lsm.allocator import keep_freed_memory
from lsm.audio.checkpoint import Denoiser, load_denoiser
from lsm.audio.inference import open_stream
from lsm.errors import OptionError


def block_times(denoiser: Denoiser, size: int, seconds: float) -> tuple[torch.Tensor, float]:
    """Stream noise in blocks of `size` samples: the time of each in ms, and processor time over the signal's length."""
    blocks = (0.1 * torch.randn(1, round(seconds * denoiser.rate))).split(size, dim=1)
    stream, times = open_stream(denoiser, channels=1), []
    for block in blocks[:20]:  # the first calls set up what the later ones use
        stream.push(block)
    processor = time.process_time()
    for block in blocks:
        start = time.perf_counter()
        stream.push(block)
        times.append(1000 * (time.perf_counter() - start))
    return torch.tensor(times), (time.process_time() - processor) / seconds


def main(
    model: Annotated[str, typer.Option(help="Embedded weights, or a file.")] = "denoiser-causal-16k",
    seconds: Annotated[float, typer.Option(help="Length of each stream.", min=1)] = 10.0,
) -> None:
    """Print a table, as Markdown."""
    keep_freed_memory()  # as the `lsm` command does
    torch.set_num_threads(1)
    denoiser = load_denoiser(model)
    if denoiser.latency is None:
        raise OptionError(f"{model} looks ahead, so it cannot stream.")
    print(f"{model}: algorithmic latency {1000 * denoiser.latency:.0f} ms, one thread\n")
    print("| block / ms | median / ms | 99 of 100 / ms | longest / ms | median / block | processor time / length |")
    print("|---|---|---|---|---|---|")
    for milliseconds in (8, 16, 20, 32, 64, 128):
        times, load = block_times(denoiser, milliseconds * denoiser.rate // 1000, seconds)
        median, most, longest = times.median(), times.quantile(0.99), times.max()
        print(
            f"| {milliseconds} | {median:.2f} | {most:.2f} | {longest:.2f} | {median / milliseconds:.3f} | {load:.3f} |"
        )


if __name__ == "__main__":
    typer.run(main)
