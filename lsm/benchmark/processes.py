"""Several processes at once: the ranks that torchrun starts, or jobs that this process starts itself."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from lsm.benchmark.evaluate import ImageTask, evaluate
from lsm.benchmark.methods import Method, MethodSpec
from lsm.benchmark.results import ImageResult
from lsm.benchmark.settings import Settings
from lsm.data.workers import worker_pool
from lsm.errors import OptionError


@dataclass(frozen=True)
class Rank:
    """This process among those of torchrun; alone without it.

    Attributes:
        index: From 0.
        count: How many there are.
        local: Number on this machine, which chooses the GPU.
    """

    index: int = 0
    count: int = 1
    local: int = 0

    def device(self, name: str) -> str:
        """Return the device of this rank where several share the work on GPUs."""
        takes_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local % torch.cuda.device_count()}" if self.count > 1 and takes_gpu else name

    def gather(self, rows: list[ImageResult]) -> list[ImageResult]:
        """Return the rows of all ranks, on every one of them."""
        if self.count == 1:
            return rows
        everyone: list[list[ImageResult]] = [[] for _ in range(self.count)]
        torch.distributed.all_gather_object(everyone, rows)
        return [row for part in everyone for row in part]


@contextmanager
def join_ranks() -> Iterator[Rank]:
    """Join the other ranks if torchrun started this process, and leave them at the end.

    Rows travel as Python objects between processors, so gloo serves on every machine.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Rank()
        return
    # A rank may wait for another's share of the images for hours.
    torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(days=7))
    try:
        distributed = torch.distributed
        yield Rank(distributed.get_rank(), distributed.get_world_size(), int(os.environ["LOCAL_RANK"]))
    finally:
        torch.distributed.destroy_process_group()


def run_all(tasks: Sequence[ImageTask], settings: Settings, jobs: int) -> Iterator[ImageResult]:
    """Evaluate images, in this process or in several.

    Args:
        tasks: What to do; neighbours with the same method share its loading.
        settings: How.
        jobs: Processes; 1 for this one alone. They divide the processor's threads among them.

    Yields:
        Rows as they are done.

    Raises:
        OptionError: If there are fewer jobs than 1.
        InputError: If an image cannot be read or measured.
    """
    if jobs < 1:
        raise OptionError(f"`jobs` must be at least 1, not {jobs}.")
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield _run_one(task, settings)
        return
    threads = max(1, torch.get_num_threads() // jobs)
    with worker_pool(jobs, __name__, threads) as pool:
        for future in as_completed([pool.submit(_run_one, task, settings) for task in tasks]):
            yield future.result()


def _run_one(task: ImageTask, settings: Settings) -> ImageResult:
    return evaluate(task, _load(task.method, settings), settings)


@functools.lru_cache(maxsize=1)
def _load(spec: MethodSpec, settings: Settings) -> Method:
    """Keep the method of the last image; the next one mostly needs it again."""
    method = Method(spec, settings)
    method(np.zeros((64, 64, 3), np.uint8))  # else the first image's time holds what libraries set up once
    return method
