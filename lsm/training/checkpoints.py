"""Files of a run: networks `models/net_g_ITER.pth` and training states `training_states/ITER.state`.

Beside those of iterations there are `net_g_latest`, once the training has ended, and `net_g_best`, of the validation
with the best first metric on the first dataset.

Both are written beside their place and moved there whole, the network first: a state that exists can be resumed from,
whenever the process was killed. Both are read with `weights_only=True`, so neither can carry code.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import torch

from lsm.arch.base import CONFIG_KEY
from lsm.errors import CheckpointError
from lsm.files import atomic_file
from lsm.weights import read_checkpoint
from lsm.weights.keys import from_official, is_official
from lsm.weights.pth import load_pth

STATES_KEPT = 3


def save_atomic(content: dict[str, Any], path: Path) -> None:
    """Write a file with `torch.save` so that it is there whole or not at all, even after a power cut.

    Args:
        content: What to save.
        path: Where; replaced if it exists.
    """
    buffer = io.BytesIO()  # where the disk is full, torch would end with an error of its own kind
    torch.save(content, buffer)
    with atomic_file(path) as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())


def load_file(path: Path) -> dict[str, Any]:
    """Read a file of `torch.save` onto the CPU.

    Raises:
        CheckpointError: If it is missing, truncated, or holds anything but tensors and plain values.
    """
    content = load_pth(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"Cannot use {path}: it holds a {type(content).__name__}, not a dictionary.")
    return content


def read_parameters(path: Path, key: str) -> dict[str, torch.Tensor]:
    """Read a network's weights, from any file that `lsm.weights` reads.

    Args:
        path: The file; one in the official naming is renamed.
        key: `"params"` or `"params_ema"`, which to prefer where the file has both.

    Returns:
        The parameters in our names, without the configuration that our files carry.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    weights = read_checkpoint(path, key).state
    if is_official(weights):
        weights = from_official(weights)
    return {name: tensor for name, tensor in weights.items() if name != CONFIG_KEY}


def read_foreign_parameters(path: Path, key: str) -> dict[str, torch.Tensor]:
    """Read the weights of another network than LSM, as BasicSR keeps them.

    Args:
        path: The file, of `torch.save`.
        key: `"params"` or `"params_ema"`, which to prefer where the file has both.

    Returns:
        The parameters in their own names, without what wrappers for several GPUs put before them.

    Raises:
        CheckpointError: If the file cannot be read, or holds no weights.
    """
    content = load_file(path)
    weights = next((content[each] for each in (key, "params_ema", "params", "state_dict") if each in content), content)
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise CheckpointError(f"Cannot use {path}: it holds no weights under params, params_ema or state_dict.")
    return {name.removeprefix("module."): tensor for name, tensor in weights.items()}


def fitting_parameters(
    weights: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Keep the weights that a network has under the same name and shape.

    Args:
        weights: What was read.
        wanted: The network's state dictionary.

    Returns:
        What fits, and a line for each weight that does not or is not there.
    """
    fitting, skipped = {}, [f"{name} is not in the file" for name in wanted if name not in weights]
    for name, tensor in weights.items():
        if name not in wanted:
            skipped.append(f"{name} is not in the network")
        elif tensor.shape != wanted[name].shape:
            skipped.append(f"{name} has shape {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}")
        else:
            fitting[name] = tensor
    return fitting, skipped


def mismatch_error(path: str | Path, error: RuntimeError) -> CheckpointError:
    """Write torch's report of names and shapes that do not fit as an error for the user."""
    details = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
    return CheckpointError(
        f"{path} does not fit the network: {details} Set path.strict_load_g: false to load what fits."
    )


def network_path(models: Path, iteration: int | str, letter: str = "g") -> Path:
    """Return where the network of an iteration, the `"latest"` or the `"best"` is kept; `d` is a discriminator's."""
    return models / f"net_{letter}_{iteration}.pth"


def state_path(states: Path, iteration: int | str) -> Path:
    """Return where the training state of an iteration is kept."""
    return states / f"{iteration}.state"


def list_states(folder: Path) -> list[Path]:
    """Return the training states of a folder, the newest first."""
    numbered = [(int(path.stem), path) for path in folder.glob("*.state") if path.stem.isdigit()]
    return [path for _, path in sorted(numbered, reverse=True)]


def load_state(path: Path, models: Path) -> dict[str, Any]:
    """Read a training state and see that its network can be read too.

    Args:
        path: The `ITER.state` file.
        models: Folder of the networks.

    Returns:
        The state: `iter`, `epoch`, `optimizers`, `schedulers`, `best_metric_results`.

    Raises:
        CheckpointError: If either file is missing or damaged.
    """
    state = load_file(path)
    if not isinstance(state.get("iter"), int) or not isinstance(state.get("optimizers"), list):
        raise CheckpointError(f"Cannot resume from {path}: it lacks iter or optimizers.")
    network = load_file(network_path(models, state["iter"]))
    if "params" not in network:
        raise CheckpointError(f"Cannot resume from {path}: {network_path(models, state['iter'])} lacks params.")
    return state


def newest_state(states: Path, models: Path) -> dict[str, Any] | None:
    """Read the newest training state that is whole, warning of each that is not.

    Args:
        states: Folder of the training states.
        models: Folder of the networks.

    Returns:
        The state, or None if there is none at all.

    Raises:
        CheckpointError: If there are states but none can be used.
    """
    files = list_states(states)
    for path in files:
        try:
            return load_state(path, models)
        except CheckpointError as error:  # noqa: PERF203  (a handful of files)
            warnings.warn(f"{error} Falling back to the state before it.", stacklevel=2)
    if files:
        raise CheckpointError(f"None of the {len(files)} training states in {states} can be read.")
    return None


def prune_states(folder: Path, kept: int = STATES_KEPT) -> None:
    """Delete all training states but the newest ones; networks stay."""
    for path in list_states(folder)[kept:]:
        path.unlink(missing_ok=True)
