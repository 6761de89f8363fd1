"""Reading and writing weights: safetensors and `.pth`, ours and official, without ever running code from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lsm.arch.build import build_preset
from lsm.arch.presets import VARIANTS
from lsm.errors import CheckpointError, OptionError, first_line
from lsm.weights.architectures import Network, architecture_of, find_architecture
from lsm.weights.pth import load_pth
from lsm.weights.resolve import DEFAULT_SCALE, Kind, ModelName, embedded_scales, resolve
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
        raise CheckpointError(f"{path} is an ONNX file: `Upscaler` runs it, but no weights can be read from it.")
    if path.stat().st_size == 0:
        raise CheckpointError(f"The weights file {path} is empty.")
    return _read_safetensors(path) if path.suffix == ".safetensors" else Checkpoint(_read_pth(path, key), {})


def load_model(
    name_or_path: str | Path,
    *,
    scale: int | None = None,
    recurrence: str | None = None,
    device: str | torch.device = "cpu",
) -> Network:
    """Load a network, in eval mode.

    Args:
        name_or_path: Embedded weights, "tiny-x4" (see `list_models`), or their variant, "tiny", at `scale`; a published
            checkpoint, "official/light-x4"; `hf:OWNER/NAME[@REVISION][/FILE]`; or a file: ours or a published one,
            safetensors or `.pth`. `lsm.weights.resolve` says in which order they are looked up.
        scale: The network's scale. For a variant it chooses the weights, ×4 by default; others must have it.
        recurrence: "paper" or "official"; by default what the weights say, "official" for files in the official naming.
        device: Where to put it.

    Returns:
        The network. In `official` recurrence it draws its categories from torch's global generator at every call.

    Raises:
        CheckpointError: If the name is unknown or means no weights, the hub does not give the file, or it cannot be
            read or is no network of ours.
        OptionError: If the weights are of another scale, `recurrence` is unknown, or huggingface-hub is needed and not
            installed.
    """
    source = resolve(name_or_path, scale)
    path = source.fetch()
    state, metadata = read_checkpoint(path)
    try:
        model = build(state, metadata.get("config"), recurrence, metadata.get("architecture")).to(device)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if scale is not None and model.config.upscale != scale:
        known = embedded_scales(str(name_or_path))
        there = f"; there are {', '.join(f'×{each}' for each in known)}" if known else ""
        raise OptionError(f"{source.name} is a network for ×{model.config.upscale}, not ×{scale}{there}.")
    return model


def create_model(
    name: str, scale: int | None = None, recurrence: str | None = None, *, pretrained: bool = False, **overrides: Any
) -> Network:
    """Build a network of a preset: with random weights and in training mode, or pretrained and in eval mode.

    Args:
        name: A preset: "fast", "nano", "tiny", "light", "s" or "base"; also with its scale, "tiny-x4", or a task,
            "tiny-denoise". With `pretrained`, any name that `load_model` takes.
        scale: r: 2, 3 or 4 (the default); 8 for presets with the classical upsampler; 1 with a task of restoration.
        recurrence: "paper" (the default); "official" for what the published implementation computes; or "gated", see
            `lsm.arch.config.RECURRENCES`.
        pretrained: Whether to load weights; those of "tiny" come with the package, "official/light-x4" and the like are
            downloaded.
        **overrides: Any other field of `LSMConfig`, e.g. `mixer="afno"`; for random weights only.

    Raises:
        CheckpointError: If there are no weights to load.
        OptionError: On an unknown preset or option, a value that no network can be built with, or an override of what
            was trained otherwise.
    """
    if pretrained:
        if overrides:
            raise OptionError(f"Pretrained weights fix {', '.join(overrides)}; leave out `pretrained`, or these.")
        return load_model(name, scale=scale, recurrence=recurrence)
    parsed = ModelName.parse(name) if isinstance(name, str) else None
    if parsed is None or name in VARIANTS:
        parsed = ModelName(name, DEFAULT_SCALE if scale is None else scale, overrides.pop("task", "sr"))
    elif scale is not None and scale != parsed.scale:
        raise OptionError(f"{name} has scale {parsed.scale}, so `scale` cannot be {scale}.")
    return build_preset(parsed.variant, parsed.scale, recurrence or "paper", task=parsed.task, **overrides)


def open_described(name: str | Path) -> tuple[Network, Literal["random"] | Kind]:
    """Open a network to be described rather than used: a preset without weights gets random ones.

    Args:
        name: As for `load_model`, or a preset at a scale ("light-x4") or with a task ("light-jpeg").

    Returns:
        The network in eval mode, and where its weights come from.
    """
    source = resolve(name)
    if source.kind == "preset":
        return create_model(source.name).eval(), "random"
    return load_model(name), source.kind


def about_weights(name_or_path: str | Path, **more: str | None) -> dict[str, str]:
    """Return what weights say of themselves, e.g. `training_set`, `iterations` and `licence`.

    Args:
        name_or_path: As for `load_model`.
        **more: Lines to set in place of theirs, where not None.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    own = read_checkpoint(resolve(name_or_path).fetch()).about
    return own | {name: text for name, text in more.items() if text is not None}


def build(
    state: Mapping[str, Tensor],
    header: str | None = None,
    recurrence: str | None = None,
    architecture: str | None = None,
) -> Network:
    """Build the network of a state dict, in eval mode.

    Args:
        state: In our names or in the official ones.
        header: The configuration as JSON, for a state dict that does not carry it.
        recurrence: "paper" or "official" instead of what the state dict says.
        architecture: A name of `lsm.weights.architectures.ARCHITECTURES`; by default the state dict tells.

    Raises:
        CheckpointError: If it is no network of ours, or holds numbers that are not finite.
    """
    kind = find_architecture(state, architecture)
    config = kind.configure(state, header, recurrence)
    weights = kind.adapt(state, config)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"The parameter {name!r} holds numbers that are not finite.")
    try:
        with torch.device("meta"):
            model = kind.network(config)
        model = model.to_empty(device="cpu").reset_buffers()
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"The network of its configuration cannot be built: {first_line(error)[:200]}") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        details = "; ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise CheckpointError(f"The weights do not fit their network: {details}") from error
    return model.eval()


def save_model(model: Network, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network's weights as safetensors, with its configuration in the header.

    Args:
        model: The network.
        path: Where; replaced if it exists.
        metadata: More lines for the header, e.g. `training_set`, `iterations`, `licence`.
    """
    header = {"format": "pt", "architecture": architecture_of(model).name, "config": json.dumps(model.config.to_dict())}
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
