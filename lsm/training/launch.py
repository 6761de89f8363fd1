"""Training and testing from an option file, for the command line and the scripts."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.data import DataLoader

from lsm.errors import OptionError
from lsm.training import arch, checkpoints, data, distributed, model  # noqa: F401  (three register what they define)
from lsm.training.compat import (
    build_dataset,
    build_model,
    get_root_logger,
    init_tb_logger,
    init_wandb_logger,
    initialized_logger,
)
from lsm.training.options import read_options
from lsm.training.progress import Progress
from lsm.training.sampling import iteration_seed, train_loader


def train(
    option_file: str | Path,
    forced: Sequence[str] = (),
    launcher: str = "none",
    auto_resume: bool = False,
    debug: bool = False,
) -> None:
    """Train as an option file says; the run's files are under `experiments/NAME` of the current folder.

    Args:
        option_file: The YAML file.
        forced: `--force_yml` entries.
        launcher: `"none"`, `"pytorch"` or `"slurm"`.
        auto_resume: Continue from the run's newest whole training state, if there is one.
        debug: Prefix the name with `debug_`, print every iteration, save and validate every 8.

    Raises:
        OptionError: If the options are wrong, or the run's folder holds a training and it is not to be resumed.
        CheckpointError: If a file to start or resume from cannot be used.
        DivergenceError: If the loss stops being a number.
    """
    options = read_options(option_file, forced, training=True)
    if debug:
        _debug(options)
    with _processes(options, launcher, Path("experiments") / options["name"], is_train=True):
        state = _resume_state(options, auto_resume)
        _prepare_folders(options)
        _start_logging(options, f"train_{options['name']}")
        _run(options, state)


def test(option_file: str | Path, forced: Sequence[str] = (), launcher: str = "none") -> dict[str, dict[str, float]]:
    """Test as an option file says; images, log and metrics go to `results/NAME` of the current folder.

    Args:
        option_file: The YAML file.
        forced: `--force_yml` entries.
        launcher: `"none"`, `"pytorch"` or `"slurm"`; the first process does the work.

    Returns:
        The mean of each metric on each dataset, also written to `results/NAME/metrics.yml`.

    Raises:
        OptionError: If the options are wrong.
        CheckpointError: If the weights cannot be used.
    """
    options = read_options(option_file, forced, training=False)
    results: dict[str, dict[str, float]] = {}
    with _processes(options, launcher, Path("results") / options["name"], is_train=False):
        _prepare_folders(options)
        _start_logging(options, f"test_{options['name']}")
        model = build_model(options)
        for loader in _evaluation_loaders(options):
            name = loader.dataset.opt["name"]
            if options["rank"] == 0:
                results[name] = model.nondist_validation(loader, options["name"], None, options["val"]["save_img"])
        if options["rank"] == 0:
            _write_text(Path(options["path"]["results_root"]) / "metrics.yml", yaml.safe_dump(results))
    return results


def _debug(options: dict[str, Any]) -> None:
    options["name"] = f"debug_{options['name'].removeprefix('debug_')}"
    options["val"]["val_freq"] = options["logger"]["save_checkpoint_freq"] = 8
    options["logger"]["print_freq"] = 1


@contextmanager
def _processes(options: dict[str, Any], launcher: str, root: Path, is_train: bool) -> Iterator[None]:
    """Start the processes, and complete the options with what depends on them and on the run's folder."""
    options.update(distributed.start(launcher, options["num_gpu"], options["dist_params"]))
    try:
        options["is_train"] = is_train
        paths = {"log": root, "visualization": root / "visualization"}
        if is_train:
            paths |= {"experiments_root": root, "models": root / "models", "training_states": root / "training_states"}
        else:
            paths["results_root"] = root
        options["path"] |= {key: str(path) for key, path in paths.items()}
        for phase, settings in options["datasets"].items():
            settings["phase"], settings["scale"] = phase.split("_")[0], options["scale"]
            root_folder = Path(settings["dataroot_gt"] or settings["dataroot_lq"])
            settings["name"] = settings["name"] or f"{root_folder.parent.name}_{root_folder.name}"
        if is_train:
            _settle_batch(options)
        if options["val"]["use_chop"] and not options["tile"]["tile_size"]:
            options["tile"]["tile_size"] = "auto"
        torch.manual_seed(options["manual_seed"])
        torch.use_deterministic_algorithms(options["deterministic"])
        torch.set_float32_matmul_precision("high" if options["fast_matmul"] else "highest")
        yield
    finally:
        distributed.stop()


def _settle_batch(options: dict[str, Any]) -> None:
    """Give `batch_size` the samples of one iteration over all processes, and see that it divides."""
    settings, parts = options["datasets"]["train"], options["world_size"] * options["train"]["accumulate"]
    if settings["batch_size"] is None:
        settings["batch_size"] = settings["batch_size_per_gpu"] * parts
    if settings["batch_size"] % parts:
        raise OptionError(
            f"datasets.train.batch_size: {settings['batch_size']} is not a multiple of processes times accumulate, "
            f"{options['world_size']} x {options['train']['accumulate']}."
        )


def _resume_state(options: dict[str, Any], auto_resume: bool) -> dict[str, Any] | None:
    """Find the training state to continue from, and point the networks at its weights."""
    states, models = Path(options["path"]["training_states"]), Path(options["path"]["models"])
    state = None
    if options["path"]["resume_state"]:
        chosen = Path(options["path"]["resume_state"])
        models = chosen.parent.parent / "models"
        state = checkpoints.load_state(chosen, models)
    elif auto_resume:
        state = checkpoints.newest_state(states, models)
    elif checkpoints.list_states(states):
        raise OptionError(
            f"{states.parent} already holds a training: --auto_resume continues it; else choose another name, or move "
            "the folder away."
        )
    if state is not None:
        path = checkpoints.network_path(models, state["iter"])
        options["path"] |= {"pretrain_network_g": str(path), "param_key_g": "params", "strict_load_g": True}
    return state


def _prepare_folders(options: dict[str, Any]) -> None:
    """Make the run's folders; existing ones stay as they are."""
    if options["rank"] != 0:
        return
    for key in ("log", "models", "training_states", "visualization"):
        if key in options["path"]:
            Path(options["path"][key]).mkdir(parents=True, exist_ok=True)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _start_logging(options: dict[str, Any], name: str) -> None:
    """Send BasicSR's logger to the terminal and a file, and keep the complete options beside it."""
    logger = logging.getLogger("basicsr")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    initialized_logger["basicsr"] = True  # BasicSR's builders then add no handler of their own
    logger.propagate = False
    logger.setLevel(logging.INFO if options["rank"] == 0 else logging.ERROR)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if options["rank"] == 0:
        folder, stamp = Path(options["path"]["log"]), time.strftime("%Y%m%d_%H%M%S")
        handlers.append(logging.FileHandler(folder / f"{name}_{stamp}.log", encoding="utf-8"))
        _write_text(folder / f"{options['name']}.yml", yaml.safe_dump(options, sort_keys=False))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
        logger.addHandler(handler)


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
    before = {}

    def note(number: int, _frame: Any) -> None:
        received.append(number)
        signal.signal(number, before[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(options: dict[str, Any], state: dict[str, Any] | None) -> None:
    """Build everything and iterate to the end, or until a signal asks to stop."""
    dataset = build_dataset(options["datasets"]["train"])
    evaluation = _evaluation_loaders(options)
    model = build_model(options)
    start = 0
    if state is not None:
        model.resume_training(state)
        start = state["iter"]
        get_root_logger().info("Resuming from iteration %d.", start)
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
    for samples in loader:
        progress.waited(time.perf_counter() - waiting_since)
        iteration += 1
        torch.manual_seed(iteration_seed(options["manual_seed"], iteration, options["rank"]))
        model.update_learning_rate(iteration, options["train"]["warmup_iter"])
        model.feed_data(samples)
        model.optimize_parameters(iteration)
        progress.step(iteration, model.get_current_log(), model.get_current_learning_rate()[0])
        paused = time.perf_counter()
        if iteration % settings["save_checkpoint_freq"] == 0 or iteration == total or received:
            model.save(epoch=iteration * batch // images, current_iter=iteration)
        if evaluation and (iteration % options["val"]["val_freq"] == 0 or iteration == total):
            for each in evaluation:
                model.validation(each, iteration, writer, options["val"]["save_img"])
        progress.pause(time.perf_counter() - paused)
        if received:
            get_root_logger().info("Stopped at iteration %d, saved; --auto_resume continues.", iteration)
            break
        waiting_since = time.perf_counter()
    return iteration
