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

from lsm.benchmark.evaluate import Work, evaluate
from lsm.benchmark.methods import Method, MethodSpec
from lsm.benchmark.results import Row
from lsm.benchmark.settings import Settings
from lsm.data.pool import worker_pool
from lsm.errors import OptionError

Assignment = tuple[Work, MethodSpec]
"""An image and the method to load for it."""


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
        """Give the device of this rank where several share the work on GPUs."""
        takes_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local % torch.cuda.device_count()}" if self.count > 1 and takes_gpu else name

    def gather(self, rows: list[Row]) -> list[Row]:
        """Bring the rows of all ranks together on every one of them."""
        if self.count == 1:
            return rows
        everyone: list[list[Row]] = [[] for _ in range(self.count)]
        torch.distributed.all_gather_object(everyone, rows)
        return [row for part in everyone for row in part]


@contextmanager
def joined() -> Iterator[Rank]:
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


def run_all(work: Sequence[Assignment], settings: Settings, jobs: int) -> Iterator[Row]:
    """Evaluate images, in this process or in several.

    Args:
        work: What to do; neighbours with the same method share its loading.
        settings: How.
        jobs: Processes; 1 for this one alone. They divide the processor's threads among them.

    Yields:
        Rows as they are done.

    Raises:
        OptionError: If there are fewer jobs than 1.
        InputError: If an image cannot be read or measured.
    """
    if jobs < 1:
        raise OptionError(f"--jobs {jobs}: at least 1.")
    if jobs == 1 or len(work) < 2:
        for item in work:
            yield _run_one(item, settings)
        return
    threads = max(1, torch.get_num_threads() // jobs)
    with worker_pool(jobs, __name__, threads) as pool:
        for future in as_completed([pool.submit(_run_one, item, settings) for item in work]):
            yield future.result()


def _run_one(item: Assignment, settings: Settings) -> Row:
    work, spec = item
    return evaluate(work, _loaded(spec, settings), settings.channel)


@functools.lru_cache(maxsize=1)
def _loaded(spec: MethodSpec, settings: Settings) -> Method:
    """Keep the method of the last image; the next one mostly needs it again."""
    method = Method(spec, settings)
    method(np.zeros((64, 64, 3), np.uint8))  # else the first image's time holds what libraries set up once
    return method
