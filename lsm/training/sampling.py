"""Which sample comes when, as a pure function of (seed, iteration, position): resuming repeats the very same batches.

Samples are numbered through a whole training: number n = iteration · batch + position in the batch, whatever the
number of processes and workers. The number decides the image (a shuffled order for each epoch) and seeds the random
generators that a dataset crops and flips with, so no generator's state has to be kept.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from lsm.errors import LSMError
from lsm.training.budget import ENDLESS

# The first entry of every seed sequence: what the random numbers are for, so that no two uses share a stream.
_ORDER, _SAMPLE, _ITERATION, _PATCHES = 0, 1, 2, 3


def _seed(*entropy: int) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def iteration_seed(seed: int, iteration: int, rank: int) -> int:
    """Return the seed of torch's generators (drop path, Gumbel noise) for one iteration of one process."""
    return _seed(_ITERATION, seed, iteration, rank)


def patch_seed(seed: int, iteration: int) -> int:
    """Return the seed of the patches that a device draws for one iteration of all processes."""
    return _seed(_PATCHES, seed, iteration)


@lru_cache(maxsize=2)  # a batch may straddle two epochs
def _epoch_order(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(size)


class ReproducibleSamples(Dataset):
    """A dataset whose items are numbered through the whole training and reproducible one by one.

    Works on any BasicSR dataset: those draw from the global generators of `random` and NumPy, which are seeded before
    each item.

    Args:
        dataset: The dataset that crops and flips.
        seed: The training's seed.
        shuffle: Whether each epoch has its own order.
        upscale: How often an epoch holds each image.
    """

    def __init__(self, dataset: Any, seed: int, shuffle: bool = True, upscale: int = 1) -> None:
        self.dataset = dataset
        self.seed = seed
        self.shuffle = shuffle
        self.size = len(dataset) * upscale

    def __len__(self) -> int:
        """Return the length of one epoch; numbers go on beyond it."""
        return self.size

    def __getitem__(self, number: int) -> Any:
        """Return sample `number`, counted from the training's start."""
        epoch, position = divmod(number, self.size)
        if self.shuffle:
            position = int(_epoch_order(self.seed, epoch, self.size)[position])
        seed = _seed(_SAMPLE, self.seed, number)
        random.seed(seed)
        np.random.seed(seed)
        return self.dataset[position % len(self.dataset)]


class IterationBatches(Sampler[list[int]]):
    """The sample numbers of one process's share of each global batch.

    Args:
        start_iter: Iterations already done.
        total_iter: Iterations of the whole training.
        batch_size: Samples of one iteration over all processes.
        rank: This process.
        world_size: Number of processes; divides `batch_size`.
    """

    def __init__(self, start_iter: int, total_iter: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.iterations = range(start_iter, total_iter)
        self.batch_size = batch_size
        self.share = batch_size // world_size
        self.rank = rank

    def __iter__(self) -> Iterator[list[int]]:
        for iteration in self.iterations:
            first = iteration * self.batch_size + self.rank * self.share
            yield list(range(first, first + self.share))

    def __len__(self) -> int:
        return len(self.iterations)


def train_loader(dataset: Any, options: dict[str, Any], start_iter: int) -> DataLoader:
    """Build the loader of a training that has done `start_iter` iterations.

    Args:
        dataset: The training dataset.
        options: The whole, checked options.
        start_iter: Iterations already done.

    Returns:
        A loader with one batch for each iteration that is left.
    """
    settings = options["datasets"]["train"]
    samples = ReproducibleSamples(
        dataset, options["manual_seed"], settings["use_shuffle"], settings["dataset_enlarge_ratio"]
    )
    batches = IterationBatches(
        start_iter,
        options["train"]["total_iter"] or ENDLESS,
        settings["batch_size"],
        options["rank"],
        options["world_size"],
    )
    return DataLoader(
        samples,
        batch_sampler=batches,
        num_workers=settings["num_worker_per_gpu"],
        pin_memory=options["num_gpu"] != 0 and settings["pin_memory"],
        worker_init_fn=outlive_interruption,
    )


def outlive_interruption(_worker: int) -> None:
    """Let a worker process go on where a signal reaches all of a training's: its iteration is to be finished and saved.

    Ctrl-C is the trainer's alone; a first SIGTERM is left to it, a second, as the loader sends one, ends the worker.
    Workers that are forked take over the trainer's own handlers, others (Python 3.14, macOS, Windows) the usual ones.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: signal.signal(number, signal.SIG_DFL))


def iterate_batches(loader: Iterable[Any]) -> Iterator[Any]:
    """Yield a loader's batches; an error for the user keeps its words on the way out of a worker process.

    Torch puts the traceback of the worker in front of them.

    Raises:
        LSMError: As the dataset raised it.
    """
    try:
        yield from loader
    except LSMError as error:
        lines = str(error).rstrip().splitlines()
        if len(lines) < 2 or not lines[0].startswith("Caught "):
            raise
        raise type(error)(lines[-1].partition(": ")[2]) from error
