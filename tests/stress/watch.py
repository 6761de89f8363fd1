"""Work in a process that is watched: one that dies or goes silent is noted and replaced."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Outcome = tuple[str, str]
"""What became of an item, in a word, and what was said."""


def watched(
    work: Callable[[Any], Outcome], items: Sequence[Any], stderr: Path, patience: float = 10.0, memory: int = 3 << 30
) -> tuple[list[Outcome], list[str]]:
    """Call a function for each item in another process.

    Args:
        work: A function of a module.
        items: What to call it with; they can be pickled.
        stderr: File for what the process prints there.
        patience: Seconds an item may take of a processor; twenty times as many may pass on a busy machine.
        memory: Bytes of address space that it may take beyond what the process has at its start.

    Returns:
        The outcomes of the items that came to an end, and a line for each that did not.
    """
    context = multiprocessing.get_context("spawn")
    outcomes: list[Outcome] = []
    faults: list[str] = []
    done = 0
    while done < len(items):
        here, there = context.Pipe()
        worker = context.Process(target=_work, args=(there, work, items[done:], stderr, memory))
        worker.start()
        there.close()
        try:
            assert here.poll(120), "the worker does not start"
            here.recv()
            while done < len(items):
                if not _answers(here, worker.pid, patience):
                    faults.append(f"{items[done]!r:.100}: hangs over {patience} s")
                    break
                outcomes.append(here.recv())
                done += 1
        except EOFError:
            worker.join()
            faults.append(f"{items[done]!r:.100}: the process died with {worker.exitcode}")
        worker.kill()
        worker.join()
        done = len(outcomes) + len(faults)
    return outcomes, faults


def _answers(pipe: Connection, process: int | None, patience: float) -> bool:
    """Wait for a process until it answers, or has used up its time."""
    start, end = _processor_seconds(process), time.monotonic() + 20 * patience
    while not pipe.poll(1.0):
        if _processor_seconds(process) - start > patience or time.monotonic() > end:
            return False
    return True


def _processor_seconds(process: int | None) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:  # it has just ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(pipe: Connection, work: Callable[[Any], Outcome], items: Sequence[Any], stderr: Path, memory: int) -> None:
    import torch

    import lsm  # noqa: F401  (what it takes is no part of an item's memory)

    torch.set_num_threads(1)
    torch.rand(64, 64) @ torch.rand(64, 64)  # libraries set up what they need
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    pipe.send(("ready", ""))
    for item in items:
        pipe.send(work(item))
