"""Times of computations: from the call until the device has done what it was given."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given; a CPU has when a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def shortest_time(run: Callable[[], object], device: torch.device, runs: int = 3) -> float:
    """Measure a computation.

    Args:
        run: The computation. Its first run, which plans and allocates, does not count.
        device: Where it computes.
        runs: How many runs count.

    Returns:
        The least time of a run, in seconds: what delays others has nothing to do with the computation.
    """
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        run()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])
