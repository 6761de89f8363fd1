"""Which network a name means: embedded weights, a preset at a scale or with a task, or a file."""

from __future__ import annotations

import re
from pathlib import Path

from lsm.arch import LSM, PRESETS, create_model
from lsm.arch.config import TASKS
from lsm.errors import OptionError, unknown_name
from lsm.image.io import printable
from lsm.inference.onnx_network import OnnxNetwork
from lsm.weights import EMBEDDED, load_model

_NAME = re.compile(r"(?P<variant>.+)-x(?P<scale>\d+)")


def weights_for(name: str | None, scale: float | None) -> str:
    """Complete what a user says of the weights.

    Args:
        name: Embedded weights, a preset whose weights are embedded ("tiny"), or a file; none for the default.
        scale: The scale wanted; none for the network's own.

    Returns:
        A name or path for `load_model`: for a preset the weights of the smallest scale that reaches the one wanted, so
        that images are rather shrunk afterwards than blown up; ×4 if none is wanted.
    """
    variants = {match["variant"] for known in EMBEDDED if (match := _NAME.fullmatch(known))}
    variant = "tiny" if name is None else name
    if variant not in variants or Path(variant).is_file():
        return variant
    scales = sorted(int(known.removeprefix(f"{variant}-x")) for known in EMBEDDED if known.startswith(f"{variant}-x"))
    wanted = 4 if scale is None else scale
    return f"{variant}-x{next((known for known in scales if known >= wanted), scales[-1])}"


def restoring_weights(name: str | None, task: str) -> str:
    """Complete what a user says of the weights for a task of restoration.

    Args:
        name: Embedded weights, a preset whose weights are embedded ("tiny"), or a file; none for the default.
        task: "denoise" or "jpeg".

    Raises:
        OptionError: If the task is unknown, or no weights are named and none are embedded.
    """
    if task not in TASKS[1:]:
        raise OptionError(unknown_name("task", task, TASKS[1:]))
    complete = f"{name or 'tiny'}-{task}"
    if name is not None:
        return complete if complete in EMBEDDED and not Path(name).is_file() else name
    if complete not in EMBEDDED:
        raise OptionError(
            f"No weights for the task {task} come with the package: train some by options/train/tiny_{task}.yml, and "
            "name their file with --model."
        )
    return complete


def open_network(name: str, task: str = "sr") -> LSM | OnnxNetwork:
    """Open a network to be used: any weights of `load_model`, or a file that `lsm export onnx` wrote.

    Args:
        name: The weights.
        task: What it is wanted for, one of `lsm.arch.config.TASKS`.

    Raises:
        CheckpointError: If it cannot be read.
        OptionError: If it needs a package that is not installed, or is for another task.
    """
    network = OnnxNetwork(name) if Path(name).suffix.lower() == ".onnx" else load_model(name)
    own = network.config.task
    if own != task:
        use = "lsm upscale" if own == "sr" else f"lsm restore --task {own}"
        raise OptionError(f"{printable(name)} is a network for the task {own}, not {task}: use `{use}`.")
    return network


def open_model(name: str) -> tuple[LSM, str]:
    """Open a network to be described rather than used: a preset without embedded weights gets random ones.

    Args:
        name: Embedded weights, a preset at a scale ("light-x4") or with a task ("light-jpeg"), or a file.

    Returns:
        The network in eval mode, and where its weights come from: "embedded", "file", or "random".
    """
    match = re.fullmatch(_NAME, name)
    if name not in EMBEDDED and match and match["variant"] in PRESETS and not Path(name).exists():
        return create_model(match["variant"], int(match["scale"])).eval(), "random"
    variant, _, task = name.rpartition("-")
    if name not in EMBEDDED and variant in PRESETS and task in TASKS[1:] and not Path(name).exists():
        return create_model(variant, 1, task=task).eval(), "random"
    return load_model(weights_for(name, None)), "embedded" if name in EMBEDDED else "file"
