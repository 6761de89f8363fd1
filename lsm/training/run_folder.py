"""The folder of a run: `experiments/NAME` or `results/NAME` under the current folder. Nothing in it is ever renamed."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lsm.errors import OptionError
from lsm.files import atomic_file, only_process
from lsm.training import checkpoints
from lsm.training.compat import initialized_logger


def run_paths(name: str, is_train: bool) -> dict[str, str]:
    """Return the entries of BasicSR's `path` section that depend on the run's name."""
    root = Path("experiments" if is_train else "results") / name
    paths = {"log": root, "visualization": root / "visualization"}
    if is_train:
        paths |= {"experiments_root": root, "models": root / "models", "training_states": root / "training_states"}
    else:
        paths["results_root"] = root
    return {key: str(path) for key, path in paths.items()}


def write_yaml(path: Path, content: Any) -> None:
    """Write plain values as YAML, whole or not at all."""
    with atomic_file(path) as file:
        file.write(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())


def resume_state(options: dict[str, Any], auto_resume: bool) -> dict[str, Any] | None:
    """Find the training state to continue from, and point the networks at its weights.

    Args:
        options: The completed options; `path` is changed where there is something to resume.
        auto_resume: Whether to take the run's newest whole state.

    Returns:
        The state, or None to start at the beginning.

    Raises:
        OptionError: If the folder holds a training that nobody asked to continue.
        CheckpointError: If the state cannot be used.
    """
    states, models = Path(options["path"]["training_states"]), Path(options["path"]["models"])
    state = None
    if options["path"]["resume_state"]:
        chosen = Path(options["path"]["resume_state"])
        models = chosen.parent.parent / models.name
        state = checkpoints.load_state(chosen, models)
    elif auto_resume:
        state = checkpoints.newest_state(states, models)
    elif checkpoints.list_states(states):
        raise OptionError(
            f"{states.parent} already holds a training: `auto_resume` continues it; else choose another name, or move "
            "the folder away."
        )
    if state is not None:
        path = checkpoints.network_path(models, state["iter"])
        options["path"] |= {"pretrain_network_g": str(path), "param_key_g": "params", "strict_load_g": True}
        if options["network_d"] is not None:
            path = checkpoints.network_path(models, state["iter"], "d")
            options["path"] |= {"pretrain_network_d": str(path), "strict_load_d": True}
    return state


@contextlib.contextmanager
def lock_run(options: dict[str, Any]) -> Iterator[None]:
    """Keep the run's folder to this training; the first process does it for all of them.

    Raises:
        OptionError: If another training has it.
    """
    if options["rank"] != 0:
        yield
        return
    folder = Path(options["path"]["experiments_root"])
    folder.mkdir(parents=True, exist_ok=True)
    with only_process(folder):
        yield


def prepare(options: dict[str, Any], file_content: dict[str, Any], notes: Sequence[str] = ()) -> None:
    """Make the run's folders, keep the options there, and send BasicSR's logger to the terminal and a file.

    Args:
        options: The completed options.
        file_content: The checked config, as it could be given again.
        notes: Lines on how the config was read, the first in the log.
    """
    logger = logging.getLogger("basicsr")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    initialized_logger["basicsr"] = True  # BasicSR's builders then add no handler of their own
    logger.propagate = False
    logger.setLevel(logging.INFO if options["rank"] == 0 else logging.ERROR)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if options["rank"] == 0:
        for key in {"log", "models", "training_states", "visualization"} & options["path"].keys():
            Path(options["path"][key]).mkdir(parents=True, exist_ok=True)
        folder, kind = Path(options["path"]["log"]), "train" if options["is_train"] else "test"
        write_yaml(folder / f"{options['name']}.yml", file_content)
        stamp = time.strftime("%Y%m%d_%H%M%S")
        handlers.append(logging.FileHandler(folder / f"{kind}_{options['name']}_{stamp}.log", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
        logger.addHandler(handler)
    for line in notes:
        logger.info(line)
