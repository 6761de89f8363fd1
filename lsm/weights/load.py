"""Reading and writing weights: safetensors and `.pth`, ours and official, without ever running code from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lsm.arch.config import with_recurrence
from lsm.arch.network import CONFIG_KEY, LSM, encode_config
from lsm.errors import CheckpointError, first_line
from lsm.weights.detect import detect_config
from lsm.weights.keys import from_official, is_official
from lsm.weights.locate import locate
from lsm.weights.pth import load_pth
from lsm.weights.safetensors_file import write_safetensors

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Keys under which programs keep the state dict in a `.pth`; the first that is there is taken."""

_HEADER = ("format", "architecture", "config")
"""What `save_model` itself writes into the header of a file."""


class Checkpoint(NamedTuple):
    """A weights file as it was read."""

    state: dict[str, Tensor]
    """Parameters under the names of the file, without a wrapper's `module.`."""
    metadata: dict[str, str]
    """The header of a safetensors file; empty for others."""

    @property
    def about(self) -> dict[str, str]:
        """What the file says of its weights, e.g. `training_set`."""
        return {name: text for name, text in self.metadata.items() if name not in _HEADER}


def read_checkpoint(path: str | Path, key: str | None = None) -> Checkpoint:
    """Read a weights file.

    Args:
        path: `.safetensors`, or anything that `torch.save` wrote.
        key: Which wrapper to prefer in a file with several, e.g. "params"; by default `params_ema` first.

    Raises:
        CheckpointError: If the file is missing or damaged, holds code, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no weights file {path}.")
    if path.suffix.lower() == ".onnx":
        raise CheckpointError(f"{path} is an ONNX file: `lsm upscale -n` runs it, but no weights can be read from it.")
    if path.stat().st_size == 0:
        raise CheckpointError(f"The weights file {path} is empty.")
    return _read_safetensors(path) if path.suffix == ".safetensors" else Checkpoint(_read_pth(path, key), {})


def load_model(name_or_path: str | Path, recurrence: str | None = None, device: str | torch.device = "cpu") -> LSM:
    """Load a network, in eval mode.

    Args:
        name_or_path: The name of embedded weights, e.g. "tiny-x4" (see `lsm models`); of an official checkpoint, e.g.
            "official/light-x4"; "hf:OWNER/NAME[@REVISION]/FILE"; or a file: ours or an official one, safetensors or
            `.pth`.
        recurrence: "paper" or "official"; by default what the weights say, "official" for files in the official naming.
        device: Where to put it.

    Returns:
        The network. In `official` recurrence it draws its categories from torch's global generator at every call.

    Raises:
        CheckpointError: If the name is unknown, the hub does not give the file, or it cannot be read or is no network
            of LSM.
        OptionError: If `recurrence` is unknown, or huggingface-hub is needed and not installed.
    """
    path = locate(name_or_path)
    state, metadata = read_checkpoint(path)
    try:
        return build(state, metadata.get("config"), recurrence).to(device)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def about_weights(name_or_path: str | Path, **more: str | None) -> dict[str, str]:
    """Return what weights say of themselves, e.g. `training_set`, `iterations` and `licence`.

    Args:
        name_or_path: As for `load_model`.
        **more: Lines to set in place of theirs, where not None.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    own = read_checkpoint(locate(name_or_path)).about
    return own | {name: text for name, text in more.items() if text is not None}


def build(state: Mapping[str, Tensor], header: str | None = None, recurrence: str | None = None) -> LSM:
    """Build the network of a state dict, in eval mode.

    Args:
        state: In our names or in the official ones.
        header: The configuration as JSON, for a state dict that does not carry it.
        recurrence: "paper" or "official" instead of what the state dict says.

    Raises:
        CheckpointError: If it is no network of LSM, or holds numbers that are not finite.
    """
    config = detect_config(state, header)
    if recurrence is not None:
        config = with_recurrence(config, recurrence)
    weights = from_official(state) if is_official(state) else dict(state)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"The parameter {name!r} holds numbers that are not finite.")
    weights[CONFIG_KEY] = encode_config(config)
    try:
        with torch.device("meta"):
            model = LSM(config)
        model = model.to_empty(device="cpu").reset_buffers()
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"The network of its configuration cannot be built: {first_line(error)[:200]}") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        details = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise CheckpointError(f"The weights do not fit their network: {details}") from error
    return model.eval()


def save_model(model: LSM, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network's weights as safetensors, with its configuration in the header.

    Args:
        model: The network.
        path: Where; replaced if it exists.
        metadata: More lines for the header, e.g. `training_set`, `iterations`, `licence`.
    """
    header = {"format": "pt", "architecture": "LSM", "config": json.dumps(model.config.to_dict())}
    write_safetensors(model, path, {**header, **(metadata or {})})


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise CheckpointError(f"Cannot read {path} as safetensors: {first_line(error)}") from error


def _read_pth(path: Path, key: str | None) -> dict[str, Tensor]:
    content = _unwrapped(load_pth(path), key)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict.")
    state = {str(name).removeprefix("module."): item for name, item in content.items() if isinstance(item, Tensor)}
    if not state:
        raise CheckpointError(f"{path} holds no tensors.")
    return state


def _unwrapped(content: Any, key: str | None) -> Any:
    """Follow wrappers to the innermost dictionary; each only once, since a file may hold itself."""
    seen: set[int] = set()
    while isinstance(content, dict) and id(content) not in seen:
        seen.add(id(content))
        names = (name for name in (key, *WRAPPERS) if name and isinstance(content.get(name), dict))
        content = content.get(next(names, None), content)
    return content
