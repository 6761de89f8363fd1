"""Weights from any file that is read to the two that are written: our safetensors, and a BasicSR `.pth`."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lsm.arch.base import Network
from lsm.arch.network import LSM
from lsm.errors import CheckpointError, OptionError, unknown_name
from lsm.files import atomic_file
from lsm.mixers.base import Size
from lsm.mixers.window_attention import DynamicPositionBias
from lsm.mixers.windows import relative_offsets, separation_mask
from lsm.weights.detect import detect_config
from lsm.weights.keys import is_official, to_official
from lsm.weights.load import WRAPPERS, Checkpoint, build, read_checkpoint, save_model
from lsm.weights.resolve import resolve

NAMINGS = ("auto", "lsm", "official")

_FIXED = ("placement", "mixer", "img_range", "rgb_mean")
_FIXED_RECURRENCE = ("scan_order", "transition", "input_norm", "modulation", "enhancement")
"""What the published networks have in one way only, whatever their weights are; the latter in their recurrence."""

MASK_SIDE = "attn_mask_side"
"""Line of a safetensors header: side of the image that an official file's masks are of; 0 if it has none."""

PUBLISHED_MASK_SIDE = 64
"""Side of the image, in pixels, that the published implementation keeps the masks of shifted windows for."""


def convert(
    source: str | Path,
    target: str | Path,
    *,
    key: str | None = None,
    naming: str = "auto",
    about: Mapping[str, str] | None = None,
) -> Network:
    """Read weights and write them in the form that the target's ending asks for.

    Args:
        source: Anything that `load_model` takes.
        target: `.safetensors`: one state dict in our names, with the configuration and `about` in its header.
            `.pth`: `{"params": …, "params_ema": …}`, as BasicSR reads it: each of the source's own, or one state dict
            twice if the source has only one; it has no room for `about`. Replaced if it exists.
        key: Which state dict to take from a file with several, e.g. "params"; by default "params_ema", and for a `.pth`
            both.
        naming: Of a `.pth`: "lsm", "official" for the published implementation, or "auto": "official" for networks in
            the `official` recurrence.
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
    model = _build(path, checkpoint)
    if target.suffix == ".safetensors":
        if naming == "official":
            raise OptionError("Only a .pth is written in the official naming, since nothing else reads it there.")
        masks = {MASK_SIDE: str(mask_side(checkpoint.state))} if is_official(checkpoint.state) else {}
        save_model(model, target, checkpoint.about | masks | dict(about or {}))
        return model
    official = naming == "official" or (naming == "auto" and model.config.recurrence.mode == "official")
    weights = {"params_ema": _named(model, checkpoint, official)}
    if key is None and path.suffix != ".safetensors":
        other = read_checkpoint(path, "params")
        weights["params"] = _named(_build(path, other), other, official)
    content = io.BytesIO()
    torch.save({name: weights.get(name, weights["params_ema"]) for name in ("params", "params_ema")}, content)
    with atomic_file(target) as file:
        file.write(content.getvalue())
    return model


def _build(path: Path, checkpoint: Checkpoint) -> Network:
    try:
        return build(checkpoint.state, checkpoint.metadata.get("config"))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _named(model: Network, checkpoint: Checkpoint, official: bool) -> dict[str, Tensor]:
    """Return a state dict in our naming, or in the official one with masks as its source has them."""
    if not official:
        return model.state_dict()
    if not isinstance(model, LSM):
        raise OptionError("Only the networks of the paper have official names; write this one in the naming `lsm`.")
    if is_official(checkpoint.state):
        return official_state(model, mask_side(checkpoint.state))
    return official_state(model, int(checkpoint.metadata.get(MASK_SIDE, PUBLISHED_MASK_SIDE)))


def mask_side(official: Mapping[str, Tensor]) -> int:
    """Return the side of the square image that an official state dict holds the masks of; 0 if it holds none."""
    masks = (tensor for name, tensor in official.items() if name.endswith("attn_mask_0"))
    mask = next(masks, None)
    return 0 if mask is None else math.isqrt(mask.shape[0] * mask.shape[1])


def official_masks(window: Size, side: int) -> Tensor:
    """Return the masks of all shifted windows of a square image, as official files hold them: (n, h·w, h·w)."""
    rows, columns = (-(-side // max(window)) * max(window) // length for length in window)
    places = ((y == rows - 1, x == columns - 1) for y in range(rows) for x in range(columns))
    return torch.stack([separation_mask(window, *place) for place in places])


def official_state(model: LSM, side: int = PUBLISHED_MASK_SIDE) -> dict[str, Tensor]:
    """Return a network's weights in the official naming, with the buffers that the published implementation expects.

    Args:
        model: The network.
        side: Of the square image, in pixels, whose masks of shifted windows are among them; 0 leaves them out, as some
            official files do.

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
                mixer, _, half = name.replace("groups.", "layers.").rpartition(".mixer.bias.")
                prefix = f"{mixer}.attn.attns.{half}"
                state |= {f"{prefix}.rpe_biases": offsets, f"{prefix}.relative_position_index": index}
                if module.shifted and side:
                    state[f"{mixer}.attn.attn_mask_{half}"] = official_masks(module.window, side)
        detected = detect_config(state)
    except KeyError as error:
        raise CheckpointError(
            f"The published networks have no {error.args[0]!r}, so it has no official name."
        ) from error
    differing = [name for name in _FIXED if getattr(detected, name) != getattr(model.config, name)]
    ours, theirs = model.config.recurrence, detected.recurrence
    differing += [name for name in _FIXED_RECURRENCE if getattr(ours, name) != getattr(theirs, name)]
    if differing:
        raise CheckpointError(f"The published networks cannot express this one's {' and '.join(differing)}.")
    return state
