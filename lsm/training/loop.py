"""The iterations of a training: batches, steps, files, validations, and an end at any signal without a loss."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from lsm.data.pairs import load_pair
from lsm.training.budget import Budget
from lsm.training.compat import (
    DATASET_REGISTRY,
    build_dataset,
    build_model,
    get_root_logger,
)
from lsm.training.curves import CurveWriter
from lsm.training.data import find_pairs
from lsm.training.device_data import DeviceBatches
from lsm.training.loggers import open_log
from lsm.training.metrics import load_networks
from lsm.training.model import DivergenceError
from lsm.training.own_data import check_sample
from lsm.training.progress import Progress
from lsm.training.registered import by_plugin
from lsm.training.sampling import iterate_batches, iteration_seed, train_loader
from lsm.training.teacher import cached_images, fill_cache


def run_training(options: dict[str, Any], state: dict[str, Any] | None) -> None:
    """Build everything and iterate to the end, or until a signal asks to stop.

    Args:
        options: The completed options.
        state: The training state to go on from; None to begin.

    Raises:
        DivergenceError: If the loss stops being a number; what was before that iteration is saved.
    """
    _prepare_teacher(options)
    dataset = _build(options["datasets"]["train"])
    evaluation = evaluation_loaders(options)
    if evaluation:
        load_networks(options["val"]["metrics"])
    model = build_model(options)
    start = 0
    if state is not None:
        model.resume_training(state)
        start = state["iter"]
        get_root_logger().info("Resuming after iteration %d.", start)
    loader = _batches(dataset, options, start, model.device)
    budget = Budget(options["train"], model.device.type == "cpu", model.spent)
    with open_log(options) as writer, _stop_requests() as received:
        done = _iterate(options, model, loader, evaluation, start, budget, writer, received)
    if budget.ended(done):
        model.save(epoch=-1, current_iter=-1)
        get_root_logger().info("Training done: %d iterations.", done)
        _warn_of_the_start(options["train"]["ema_decay"], done)


def _warn_of_the_start(ema_decay: float, iterations: int) -> None:
    """Say so where a training was too short for its average of weights to forget where it began."""
    share = ema_decay**iterations
    if ema_decay and share > 0.01:
        get_root_logger().warning(
            "The averaged weights (params_ema) are still those of the start by %.0f %%: %d iterations are few for "
            "ema_decay %g. Train longer, lower ema_decay, or use params.",
            *(100 * share, iterations, ema_decay),
        )


def _batches(dataset: Any, options: dict[str, Any], start: int, device: torch.device) -> DataLoader | DeviceBatches:
    """Return what makes the batches of a training after `start` iterations, where its images are."""
    settings = options["datasets"]["train"]
    if settings["type"] == "ImagePairs" and settings["in_memory"] == "device":
        return DeviceBatches(dataset, options, start, device)
    return train_loader(dataset, options, start)


def _prepare_teacher(options: dict[str, Any]) -> None:
    """Make the teacher's images of a training, where the options name a folder for them."""
    teacher, settings = options["train"]["teacher"], options["datasets"]["train"]
    if teacher is None or teacher["cache"] is None:
        return
    pairs, scale = find_pairs(settings), options["scale"]
    names = [pair.name for pair in pairs]
    if options["rank"] == 0:
        fill_cache(teacher, scale, names, lambda index: load_pair(pairs[index], scale)[1])
    if options["dist"]:
        torch.distributed.barrier()
    settings["teacher_images"] = cached_images(teacher, names)


def _iterate(
    options: dict[str, Any],
    model: Any,
    loader: DataLoader | DeviceBatches,
    evaluation: list[DataLoader],
    start: int,
    budget: Budget,
    writer: Any,
    received: list[int],
) -> int:
    """Do the iterations that are left and return the last one's number."""
    settings = options["logger"]
    batch, images = options["datasets"]["train"]["batch_size"], len(loader.dataset)  # type: ignore[arg-type]
    curves = CurveWriter(Path(options["path"]["experiments_root"])) if options["rank"] == 0 else None
    progress = Progress(start, budget, settings["print_freq"], writer, curves)
    iteration, waiting_since = start, time.perf_counter()
    budget.start()
    for samples in iterate_batches(loader):
        progress.waited(time.perf_counter() - waiting_since)
        iteration += 1
        torch.manual_seed(iteration_seed(options["manual_seed"], iteration, options["rank"]))
        model.progress = budget.progress(iteration - 1)
        model.update_learning_rate(iteration, options["train"]["warmup_iter"])
        model.feed_data(samples)
        try:
            model.optimize_parameters(iteration)
        except DivergenceError as error:
            model.save(epoch=(iteration - 1) * batch // images, current_iter=iteration - 1)
            raise DivergenceError(
                f"{error} Training stopped, and what was before that iteration is saved; lower the learning rate, or "
                "look at the images, and go on with `auto_resume`."
            ) from error
        budget.stop()
        budget.agree(options, model.device)
        model.spent, ended = budget.spent, budget.ended(iteration)
        progress.step(iteration, model.get_current_log(), model.get_current_learning_rate()[0])
        paused = time.perf_counter()
        stop = _in_any_process(bool(received), options, model.device)
        if iteration % settings["save_checkpoint_freq"] == 0 or ended or stop:
            model.save(epoch=iteration * batch // images, current_iter=iteration)
        if evaluation and (iteration % options["val"]["val_freq"] == 0 or ended):
            for each in evaluation:
                model.validation(each, iteration, writer, options["val"]["save_img"])
                if curves is not None:
                    curves.validation(iteration, each.dataset.opt["name"], model.metric_results)  # type: ignore[attr-defined]
        progress.pause(time.perf_counter() - paused)
        if ended:
            break
        if stop:
            get_root_logger().info("Stopped after iteration %d and saved; auto_resume continues.", iteration)
            break
        waiting_since = time.perf_counter()
        budget.start()
    return iteration


def evaluation_loaders(options: dict[str, Any]) -> list[DataLoader]:
    """Build a loader of single images for each dataset but the training one."""
    return [
        DataLoader(_build(settings), batch_size=1)
        for phase, settings in options["datasets"].items()
        if phase != "train"
    ]


def _build(settings: dict[str, Any]) -> Any:
    """Build a dataset; one that a plug-in registers must give a sample that can be used."""
    dataset: Any = build_dataset(settings)
    if by_plugin(DATASET_REGISTRY, settings["type"]):
        check_sample(dataset, settings)
        dataset.opt = settings  # a validation asks for its name
    return dataset


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the iteration is finished and saved first; a second one acts at once."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, _frame: Any) -> None:
        received.append(number)
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _in_any_process(condition: bool, options: dict[str, Any], device: torch.device) -> bool:
    """Return whether a condition holds in any of the processes, so that all of them act on it in the same iteration."""
    if not options["dist"]:
        return condition
    flag = torch.tensor(int(condition), device=device)
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return bool(flag.item())
