"""Measure when the FFT beats the scan for a linear recurrence that does not change: the table behind `LRU`'s "auto".

    python benchmarks/lru_paths.py

Prints, for batch, states and length, the CPU time in milliseconds of the states alone, forward and with backward, on
one thread. `FFT_MOST_NUMBERS` of `lsm.sequence.lru` is the product B·N·L up to which the FFT wins in most rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch
import typer
from measuring import least_ms

from lsm.scan import linear_scan
from lsm.sequence.lru import FFT_MOST_NUMBERS, convolve_fft


def main(largest: int = 2**20) -> None:
    """Print the table for products up to `largest`."""
    torch.set_num_threads(1)
    print(f"{'B':>3} {'N':>4} {'L':>6} {'B·N·L':>8}  scan fwd  fft fwd  scan both  fft both")
    for batch, states, length in itertools.product((1, 8), (16, 64, 256), (16, 64, 256, 1024, 4096)):
        if batch * states * length > largest:
            continue
        phase = 6 * torch.rand(states)
        a = [(0.95 * part).requires_grad_() for part in (phase.cos(), phase.sin())]
        b = [torch.randn(batch, length, states, requires_grad=True) for _ in range(2)]

        def forward(run: Callable, a: list = a, b: list = b) -> torch.Tensor:
            states = run(tuple(a), tuple(b))
            return states[0].sum() + states[1].sum()

        def both_ways(run: Callable, forward: Callable = forward) -> None:
            forward(run).backward()

        with torch.no_grad():
            alone = [least_ms(partial(forward, run), 5, "cpu") for run in (linear_scan, convolve_fft)]
        both = [least_ms(partial(both_ways, run), 5, "cpu") for run in (linear_scan, convolve_fft)]
        numbers = batch * states * length
        mark = "fft" if numbers <= FFT_MOST_NUMBERS else "scan"
        print(f"{batch:3} {states:4} {length:6} {numbers:8}  {alone[0]:8.2f} {alone[1]:8.2f} {both[0]:10.2f}"
              f" {both[1]:9.2f}  auto: {mark}")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
