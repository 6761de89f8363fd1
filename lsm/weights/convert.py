"""Weights from any file that is read to the two that are written: our safetensors, and a BasicSR `.pth`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lsm.arch.network import LSM
from lsm.errors import CheckpointError, OptionError, unknown_name
from lsm.files import atomic_file
from lsm.mixers.window_attention import DynamicPositionBias
from lsm.mixers.windows import relative_offsets
from lsm.weights.detect import detect_config
from lsm.weights.keys import to_official
from lsm.weights.load import WRAPPERS, build, read_checkpoint, save_model
from lsm.weights.resolve import resolve

NAMINGS = ("auto", "lsm", "official")

_FIXED = (
    *("scan_order", "transition", "input_norm", "modulation", "placement", "mixer", "reset", "enhancement"),
    *("img_range", "rgb_mean"),
)
"""What the published networks have in one way only, whatever their weights are."""


def convert(
    source: str | Path,
    target: str | Path,
    *,
    key: str | None = None,
    naming: str = "auto",
    about: Mapping[str, str] | None = None,
) -> LSM:
    """Read weights and write them in the form that the target's ending asks for.

    Args:
        source: Anything that `load_model` takes.
        target: `.safetensors`: one state dict in our names, with the configuration and `about` in its header.
            `.pth`: `{"params": …, "params_ema": …}` of one and the same state dict, as BasicSR reads it; it has no
            room for `about`. Replaced if it exists.
        key: Which state dict to take from a file with several, e.g. "params"; by default "params_ema".
        naming: Of a `.pth`: "lsm", "official" for the published implementation, or "auto": "official" for networks in
            `official` recurrence.
        about: Lines to add to what the source says of itself: `licence`, `training_set`, `iterations` …

    Returns:
        The network that was read.

    Raises:
        CheckpointError: If the source cannot be read, or its network has no form in the official naming.
        OptionError: If the target's ending, the naming or the key is none of these.
    """
    target = Path(target)
    if naming not in NAMINGS:
        raise OptionError(unknown_name("naming of weights", naming, NAMINGS))
    if key is not None and key not in WRAPPERS:
        raise OptionError(unknown_name("key of a checkpoint", key, WRAPPERS))
    if target.suffix not in (".safetensors", ".pth"):
        raise OptionError(f"Weights are written as .safetensors or .pth, not as {target.name!r}.")
    path = resolve(source).fetch()
    checkpoint = read_checkpoint(path, key)
    try:
        model = build(checkpoint.state, checkpoint.metadata.get("config"))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if target.suffix == ".safetensors":
        if naming == "official":
            raise OptionError("Only a .pth is written in the official naming, since nothing else reads it there.")
        save_model(model, target, checkpoint.about | dict(about or {}))
        return model
    official = naming == "official" or (naming == "auto" and model.config.recurrence == "official")
    weights = official_state(model) if official else model.state_dict()
    content = io.BytesIO()
    torch.save({"params": weights, "params_ema": weights}, content)
    with atomic_file(target) as file:
        file.write(content.getvalue())
    return model


def official_state(model: LSM) -> dict[str, Tensor]:
    """Return a network's weights in the official naming, with the buffers that the published implementation expects.

    Raises:
        CheckpointError: If it has parts that the published networks have not.
    """
    if model.config.task != "sr":
        raise CheckpointError(f"The published networks only upscale; one for {model.config.task} has no official name.")
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters(remove_duplicate=False)}
    try:
        state = to_official(parameters)
        for name, module in model.named_modules():
            if isinstance(module, DynamicPositionBias):
                offsets, index = relative_offsets(module.window)
                prefix = name.replace("groups.", "layers.").replace("mixer.bias", "attn.attns")
                state |= {f"{prefix}.rpe_biases": offsets, f"{prefix}.relative_position_index": index}
        detected = detect_config(state)
    except KeyError as error:
        raise CheckpointError(
            f"The published networks have no {error.args[0]!r}, so it has no official name."
        ) from error
    differing = [name for name in _FIXED if getattr(detected, name) != getattr(model.config, name)]
    if differing:
        raise CheckpointError(f"The published networks cannot express this one's {' and '.join(differing)}.")
    return state
