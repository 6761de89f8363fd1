from __future__ import annotations

import os
import random
import signal

import numpy as np
import pytest
import torch
from own_process import OwnProcess

import lsm.training.data  # noqa: F401  (registers ImagePairs)
from lsm.errors import InputError
from lsm.training.compat import build_dataset
from lsm.training.sampling import (
    IterationBatches,
    ReproducibleSamples,
    iterate_batches,
    iteration_seed,
    outlive_interruption,
    train_loader,
)


class Drawing:
    """A dataset that returns its index and what the global generators draw."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> tuple[int, float, float]:
        return index, random.random(), float(np.random.rand())


def test_every_epoch_holds_every_image_once_in_its_own_order():
    samples = ReproducibleSamples(Drawing(), seed=3)
    epochs = [[samples[number][0] for number in range(7 * epoch, 7 * epoch + 7)] for epoch in range(4)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_upscaled_and_unshuffled_orders():
    upscaled = ReproducibleSamples(Drawing(), seed=3, upscale=2)
    assert sorted(upscaled[number][0] for number in range(14)) == sorted([*range(7), *range(7)])
    ordered = ReproducibleSamples(Drawing(), seed=3, shuffle=False)
    assert [ordered[number][0] for number in range(9)] == [0, 1, 2, 3, 4, 5, 6, 0, 1]


def test_a_sample_depends_on_seed_and_number_alone():
    samples = ReproducibleSamples(Drawing(), seed=3)
    forwards = [samples[number] for number in range(30)]
    random.seed(99)
    assert [samples[number] for number in reversed(range(30))] == forwards[::-1]
    assert len({draw for _, draw, _ in forwards}) == 30
    assert ReproducibleSamples(Drawing(), seed=4)[5] != forwards[5]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_processes_share_each_global_batch(world_size):
    shares = [list(IterationBatches(5, 9, 8, rank, world_size)) for rank in range(world_size)]
    assert all(len(IterationBatches(5, 9, 8, rank, world_size)) == 4 for rank in range(world_size))
    for step in range(4):
        together = [number for share in shares for number in share[step]]
        assert together == list(range((5 + step) * 8, (6 + step) * 8))


def test_iteration_seeds_differ_by_iteration_and_process():
    seeds = {iteration_seed(0, iteration, rank) for iteration in range(50) for rank in range(4)}
    assert len(seeds) == 200


def options(images, workers: int, kind: str) -> dict:
    settings = {
        "name": "a",
        "type": kind,
        "phase": "train",
        "scale": 1,
        "dataroot_gt": str(images),
        "dataroot_lq": str(images),
        "io_backend": {"type": "disk"},
        "gt_size": 8,
        "batch_size": 4,
        "use_hflip": True,
        "use_rot": True,
        "use_shuffle": True,
        "num_worker_per_gpu": workers,
        "dataset_enlarge_ratio": 1,
        "pin_memory": False,
    }
    common = {"manual_seed": 1, "rank": 0, "world_size": 1, "num_gpu": 0}
    return {**common, "train": {"total_iter": 6}, "datasets": {"train": settings}}


@pytest.mark.parametrize("kind", ["ImagePairs", "PairedImageDataset"])
def test_batches_are_the_same_after_resuming_with_other_workers(images, kind):
    """BasicSR's own dataset too, whose crops come from generators that every worker seeds anew."""

    def batches(start: int, workers: int) -> list[torch.Tensor]:
        settings = options(images, workers, kind)
        return [data["lq"] for data in train_loader(build_dataset(settings["datasets"]["train"]), settings, start)]

    whole, rest = batches(0, 0), batches(3, 2)
    assert len(whole) == 6 and len(rest) == 3
    for expected, found in zip(whole[3:], rest, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


class Vanishing:
    """A dataset whose second image is gone."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if index == 1:
            raise InputError("b.png: cannot be read: No such file or directory.")
        return torch.zeros(1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_image_that_vanishes_is_told_in_one_line(workers):
    with pytest.raises(InputError) as caught:
        list(iterate_batches(torch.utils.data.DataLoader(Vanishing(), num_workers=workers)))
    assert str(caught.value) == "b.png: cannot be read: No such file or directory."


def wait_as_worker() -> None:
    outlive_interruption(0)
    print("ready", flush=True)
    while True:
        signal.pause()
        print("alive", flush=True)


@pytest.mark.skipif(not hasattr(signal, "pause"), reason="signals from other processes are POSIX's")
def test_a_worker_outlives_an_interruption_and_ends_by_the_second_request(tmp_path):
    """Also one that is not forked, which has none of the trainer's handlers."""
    worker = OwnProcess(wait_as_worker, folder=tmp_path)
    worker.wait_for("ready")
    for _ in range(2):
        os.kill(worker.pid, signal.SIGINT)
    worker.terminate()
    worker.wait_for("alive")
    assert worker.is_alive()
    worker.terminate()
    assert worker.wait() == -signal.SIGTERM
