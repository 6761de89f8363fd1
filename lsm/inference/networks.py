"""Opening a network to be used: weights run by PyTorch, or an ONNX file run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

from lsm.errors import OptionError
from lsm.image.io import printable
from lsm.inference.onnx_network import OnnxNetwork
from lsm.weights.load import Network, load_model
from lsm.weights.resolve import Source, resolve


def open_network(
    source: Source | str | Path, task: str | None = None, scale: float | None = None
) -> Network | OnnxNetwork:
    """Open a network.

    Args:
        source: What `resolve` returned; or a name or file for it. A file may be one that `lsm export onnx` wrote.
        task: What it is wanted for, one of `lsm.arch.config.TASKS`; anything by default.
        scale: The scale wanted, for a name that does not say it.

    Raises:
        CheckpointError: If it cannot be read.
        OptionError: If it needs a package that is not installed, or is for another task.
    """
    if not isinstance(source, Source):
        source = resolve(source, scale)
    network: Network | OnnxNetwork
    if Path(source.name).suffix.lower() == ".onnx":
        network = OnnxNetwork(source.fetch())
    else:
        network = load_model(source.fetch() if source.kind == "file" else source.name)
    own = network.config.task
    if task not in (None, own):
        use = "`lsm upscale`" if own == "sr" else f"`lsm restore` and the `task` {own}"
        raise OptionError(f"{printable(source.name)} is a network for the task {own}, not {task}: use {use}.")
    return network
