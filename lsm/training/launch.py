"""Training and testing from a config, for the command line and the scripts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import lsm.training.arch
import lsm.training.data
import lsm.training.degraded_pairs
import lsm.training.gan
import lsm.training.restoration  # noqa: F401  (these five and the model register what they define)
from lsm.errors import OptionError
from lsm.training import distributed, run_folder
from lsm.training.chosen_sets import choose_sets
from lsm.training.compat import build_model, get_root_logger
from lsm.training.loop import evaluation_loaders, run_training
from lsm.training.options import read_options


def train(
    config: str | Path,
    forced: Sequence[str] = (),
    launcher: str = "none",
    auto_resume: bool = False,
    debug: bool = False,
    plugins: Sequence[str] = (),
) -> None:
    """Train as a config says; the run's files are under `experiments/NAME` of the current folder.

    Args:
        config: The YAML file.
        forced: Entries such as `train:optim_g:lr=1e-4`, which change what the file says.
        launcher: `"none"`, `"pytorch"` or `"slurm"`.
        auto_resume: Continue from the run's newest whole training state, if there is one.
        debug: Prefix the name with `debug_`, print every iteration, save and validate every 8.
        plugins: Modules to import first, beside those that the file names, see `lsm.plugins`.

    Raises:
        OptionError: If the options are wrong, the run's folder holds a training and it is not to be resumed, or another
            process trains there.
        CheckpointError: If a file to start or resume from cannot be used.
        DivergenceError: If the loss stops being a number.
    """
    notes: list[str] = []
    content = read_options(config, forced, training=True, note=notes.append, plugins=plugins)
    if debug:
        content["name"] = f"debug_{content['name'].removeprefix('debug_')}"
        content["val"]["val_freq"] = content["logger"]["save_checkpoint_freq"] = 8
        content["logger"]["print_freq"] = 1
    with _processes(content, launcher, is_train=True) as options:
        state = run_folder.resume_state(options, auto_resume)
        with run_folder.lock_run(options):
            run_folder.prepare(options, content, notes)
            if auto_resume and state is None:
                get_root_logger().info(
                    "There is no training to resume in %s: it starts anew.", options["path"]["experiments_root"]
                )
            run_training(options, state)


def test(
    config: str | Path,
    forced: Sequence[str] = (),
    launcher: str = "none",
    sets: Sequence[str] = (),
    require_all: bool = False,
    plugins: Sequence[str] = (),
) -> dict[str, dict[str, float]]:
    """Test as a config says; images, log and metrics go to `results/NAME` of the current folder.

    Args:
        config: The YAML file.
        forced: Entries such as `train:optim_g:lr=1e-4`, which change what the file says.
        launcher: `"none"`, `"pytorch"` or `"slurm"`; the first process does the work.
        sets: Names of the datasets to measure; all of the config's if empty.
        require_all: Whether a dataset whose folder is missing is an error; else it is left out, which the log says.
        plugins: Modules to import first, beside those that the file names, see `lsm.plugins`.

    Returns:
        The mean of each metric on each dataset, also written to `results/NAME/metrics.yml`.

    Raises:
        OptionError: If the options are wrong.
        CheckpointError: If the weights cannot be used.
    """
    notes: list[str] = []
    left_out = choose_sets(config, forced, sets, require_all, notes.append)
    content = read_options(config, [*forced, *left_out], training=False, note=notes.append, plugins=plugins)
    results: dict[str, dict[str, float]] = {}
    with _processes(content, launcher, is_train=False) as options:
        run_folder.prepare(options, content, notes)
        model = build_model(options)
        for loader in evaluation_loaders(options) if options["rank"] == 0 else []:
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
        torch.backends.cudnn.benchmark = not options["deterministic"]  # as BasicSR: patches are all of one size
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
