"""Worker processes that start without what this process has in memory: GPU contexts and threads survive no fork."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_all_start_methods, get_context

import torch


def worker_pool(jobs: int, preload: str, threads: int = 1) -> ProcessPoolExecutor:
    """Make a pool of processes.

    Args:
        jobs: How many.
        preload: Module whose import takes long; where the system can, it is imported once for all workers.
        threads: Threads of torch in each.

    Returns:
        The pool; use it as a context.
    """
    if "forkserver" not in get_all_start_methods():  # Windows
        return ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (threads,))
    context = get_context("forkserver")
    context.set_forkserver_preload([preload])
    return ProcessPoolExecutor(jobs, context, torch.set_num_threads, (threads,))
