"""Training and testing from a config, for the command line and the scripts."""

from __future__ import annotations

import copy
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

import lsm.training.arch
import lsm.training.data
import lsm.training.degraded_pairs
import lsm.training.restoration  # noqa: F401  (these four and the model register what they define)
from lsm.errors import OptionError
from lsm.training import distributed, run_folder
from lsm.training.compat import build_dataset, build_model, get_root_logger, init_tb_logger, init_wandb_logger
from lsm.training.model import DivergenceError
from lsm.training.options import read_options
from lsm.training.progress import Progress
from lsm.training.sampling import iterate_batches, iteration_seed, train_loader


def train(
    option_file: str | Path,
    forced: Sequence[str] = (),
    launcher: str = "none",
    auto_resume: bool = False,
    debug: bool = False,
) -> None:
    """Train as a config says; the run's files are under `experiments/NAME` of the current folder.

    Args:
        option_file: The YAML file.
        forced: Entries such as `train:optim_g:lr=1e-4`, which change what the file says.
        launcher: `"none"`, `"pytorch"` or `"slurm"`.
        auto_resume: Continue from the run's newest whole training state, if there is one.
        debug: Prefix the name with `debug_`, print every iteration, save and validate every 8.

    Raises:
        OptionError: If the options are wrong, the run's folder holds a training and it is not to be resumed, or another
            process trains there.
        CheckpointError: If a file to start or resume from cannot be used.
        DivergenceError: If the loss stops being a number.
    """
    content = read_options(option_file, forced, training=True)
    if debug:
        content["name"] = f"debug_{content['name'].removeprefix('debug_')}"
        content["val"]["val_freq"] = content["logger"]["save_checkpoint_freq"] = 8
        content["logger"]["print_freq"] = 1
    with _processes(content, launcher, is_train=True) as options:
        state = run_folder.resume_state(options, auto_resume)
        with run_folder.lock_run(options):
            run_folder.prepare(options, content)
            _run(options, state)


def test(option_file: str | Path, forced: Sequence[str] = (), launcher: str = "none") -> dict[str, dict[str, float]]:
    """Test as a config says; images, log and metrics go to `results/NAME` of the current folder.

    Args:
        option_file: The YAML file.
        forced: Entries such as `train:optim_g:lr=1e-4`, which change what the file says.
        launcher: `"none"`, `"pytorch"` or `"slurm"`; the first process does the work.

    Returns:
        The mean of each metric on each dataset, also written to `results/NAME/metrics.yml`.

    Raises:
        OptionError: If the options are wrong.
        CheckpointError: If the weights cannot be used.
    """
    content = read_options(option_file, forced, training=False)
    results: dict[str, dict[str, float]] = {}
    with _processes(content, launcher, is_train=False) as options:
        run_folder.prepare(options, content)
        model = build_model(options)
        for loader in _evaluation_loaders(options) if options["rank"] == 0 else []:
            name = loader.dataset.opt["name"]  # type: ignore[attr-defined]
            results[name] = model.nondist_validation(loader, options["name"], None, options["val"]["save_img"])
            run_folder.write_yaml(Path(options["path"]["results_root"]) / "metrics.yml", results)
    return results


@contextmanager
def _processes(content: dict[str, Any], launcher: str, is_train: bool) -> Iterator[dict[str, Any]]:
    """Join the processes, and complete the options with what depends on them and on the run's name."""
    options = copy.deepcopy(content)
    options.update(distributed.start(launcher, options["num_gpu"], options["dist_params"]))
    try:
        options["is_train"] = is_train
        options["path"] |= run_folder.run_paths(options["name"], is_train)
        for phase, settings in options["datasets"].items():
            settings["phase"], settings["scale"] = phase.split("_")[0], options["scale"]
        if is_train:
            _settle_batch(options)
        if options["val"]["use_chop"] and not options["tile"]["tile_size"]:
            options["tile"]["tile_size"] = "auto"
        torch.manual_seed(options["manual_seed"])
        torch.use_deterministic_algorithms(options["deterministic"])
        torch.set_float32_matmul_precision("high" if options["fast_matmul"] else "highest")
        with distributed.report_ended_processes():
            yield options
    finally:
        distributed.stop()


def _settle_batch(options: dict[str, Any]) -> None:
    """Set `batch_size` to the samples of one iteration over all processes, and check that it divides."""
    settings, parts = options["datasets"]["train"], options["world_size"] * options["train"]["accumulate"]
    if "batch_size" not in settings:
        settings["batch_size"] = settings["batch_size_per_gpu"] * parts
    if settings["batch_size"] % parts:
        raise OptionError(
            f"datasets.train.batch_size: {settings['batch_size']} is not a multiple of processes times accumulate, "
            f"{options['world_size']} x {options['train']['accumulate']}."
        )


def _writer(options: dict[str, Any]) -> Any:
    """Open TensorBoard's writer if the options ask for it, followed by Weights & Biases if they name a project."""
    if not options["logger"]["use_tb_logger"] or options["rank"] != 0:
        return None
    if options["logger"]["wandb"]["project"]:
        init_wandb_logger(options)
    return init_tb_logger(log_dir=str(Path("tb_logger") / options["name"]))


def _evaluation_loaders(options: dict[str, Any]) -> list[DataLoader]:
    """Build a loader of single images for each dataset but the training one."""
    return [
        DataLoader(build_dataset(settings), batch_size=1)
        for phase, settings in options["datasets"].items()
        if phase != "train"
    ]


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


def _run(options: dict[str, Any], state: dict[str, Any] | None) -> None:
    """Build everything and iterate to the end, or until a signal asks to stop."""
    dataset = build_dataset(options["datasets"]["train"])
    evaluation = _evaluation_loaders(options)
    model = build_model(options)
    start = 0
    if state is not None:
        model.resume_training(state)
        start = state["iter"]
        get_root_logger().info("Resuming after iteration %d.", start)
    writer = _writer(options)
    loader = train_loader(dataset, options, start)
    with _stop_requests() as received:
        done = _iterate(options, model, loader, evaluation, start, writer, received)
    if writer is not None:
        writer.close()
    if done == options["train"]["total_iter"]:
        model.save(epoch=-1, current_iter=-1)
        get_root_logger().info("Training done: %d iterations.", done)


def _iterate(
    options: dict[str, Any],
    model: Any,
    loader: DataLoader,
    evaluation: list[DataLoader],
    start: int,
    writer: Any,
    received: list[int],
) -> int:
    """Do the iterations that are left and return the last one's number."""
    settings, total = options["logger"], options["train"]["total_iter"]
    batch, images = options["datasets"]["train"]["batch_size"], len(loader.dataset)  # type: ignore[arg-type]
    progress = Progress(start, total, settings["print_freq"], writer)
    iteration, waiting_since = start, time.perf_counter()
    for samples in iterate_batches(loader):
        progress.waited(time.perf_counter() - waiting_since)
        iteration += 1
        torch.manual_seed(iteration_seed(options["manual_seed"], iteration, options["rank"]))
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
        progress.step(iteration, model.get_current_log(), model.get_current_learning_rate()[0])
        paused = time.perf_counter()
        stop = _in_any_process(bool(received), options, model.device)
        if iteration % settings["save_checkpoint_freq"] == 0 or iteration == total or stop:
            model.save(epoch=iteration * batch // images, current_iter=iteration)
        if evaluation and (iteration % options["val"]["val_freq"] == 0 or iteration == total):
            for each in evaluation:
                model.validation(each, iteration, writer, options["val"]["save_img"])
        progress.pause(time.perf_counter() - paused)
        if stop:
            get_root_logger().info("Stopped after iteration %d and saved; auto_resume continues.", iteration)
            break
        waiting_since = time.perf_counter()
    return iteration
