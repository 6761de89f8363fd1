"""Worker processes, which start without what this process has in memory: GPU contexts and threads survive no fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, TypeVar

import torch

from lsm.allocator import keep_freed_memory
from lsm.errors import InputError, OptionError

T = TypeVar("T")


@contextmanager
def worker_pool(jobs: int, preload: str, threads: int = 1) -> Iterator[ProcessPoolExecutor]:
    """Start a pool of processes, and end it with the block, tasks not yet begun left out.

    Args:
        jobs: How many.
        preload: Module whose import takes long; where the system can, it is imported once for all workers.
        threads: Threads of torch in each.

    Raises:
        InputError: If a process is killed, as happens when memory runs out.
    """
    # Windows has no fork server; there each worker imports everything itself.
    method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
    context = get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([preload])
    pool = ProcessPoolExecutor(jobs, context, _begin, (threads,))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise InputError(f"One of {jobs} processes was killed, perhaps for memory; try fewer `jobs`.") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def map_in_order(work: Callable[..., T], tasks: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Call a function with each task's arguments.

    Args:
        work: A function of a module, so that another process can find it.
        tasks: Arguments of each call.
        jobs: Processes; 1 for this one alone.

    Yields:
        Results in the order of the tasks, each as soon as it and all before it are there.

    Raises:
        OptionError: If there are fewer jobs than 1.
    """
    if jobs < 1:
        raise OptionError(f"`jobs` must be at least 1, not {jobs}.")
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield work(*task)
        return
    with worker_pool(min(jobs, len(tasks)), work.__module__) as pool:
        for future in [pool.submit(work, *task) for task in tasks]:
            yield future.result()


def _begin(threads: int) -> None:
    """Prepare a worker; it ends with the process that started it, even if that one is killed."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
