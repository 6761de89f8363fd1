"""Time and peak memory of one computation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from lsm.allocator import release_freed_memory
from lsm.inference.memory import peak_memory
from lsm.profiling.timing import synchronize

T = TypeVar("T")
_PROCESS = Path("/proc/self")


def measure_run(run: Callable[[], T], device: torch.device) -> tuple[T, float, int | None]:
    """Run a computation once, and measure it while it runs.

    On a GPU memory is what torch allocates there. On a CPU it is the growth of the process's resident memory to its
    peak, which Linux alone tells for one computation; elsewhere none is given. (Torch's own count would need its
    profiler, which slows down what is being timed.)

    Args:
        run: The computation.
        device: Where it computes.

    Returns:
        Its result, seconds, and peak bytes beyond what was in use before it.
    """
    outcome: list[tuple[T, float]] = []

    def timed() -> None:
        start = time.perf_counter()
        result = run()
        synchronize(device)
        outcome.append((result, time.perf_counter() - start))

    if device.type == "cpu":
        release_freed_memory()
        before = _reset_resident_peak()
        timed()
        after = _status("VmHWM")
        memory = None if before is None or after is None else max(0, after - before)
    else:
        memory = peak_memory(timed, device)
    return *outcome[0], memory


def _reset_resident_peak() -> int | None:
    """Set the kernel's record of peak resident memory to the present value, and return that in bytes."""
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5")
        return _status("VmRSS")
    return None


def _status(field: str) -> int | None:
    """Read one of the sizes in the kernel's status of this process, in bytes."""
    with contextlib.suppress(OSError):
        for line in (_PROCESS / "status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return None
