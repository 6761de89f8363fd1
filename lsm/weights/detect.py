"""From a state dict to the configuration of its network: the weights alone decide."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lsm.arch.base import CONFIG_KEY, decode_config
from lsm.arch.config import LSMConfig, RecurrenceConfig
from lsm.errors import CheckpointError, OptionError, truncate_repr
from lsm.weights.keys import from_official, is_official

_OF_MIXERS = {
    "num_heads": ("mixer.bias.0.layers.2.2.weight", 2),
    "pos_dim": ("mixer.bias.0.project.weight", 1),
    "d_state": ("mixer.modulation.dictionary", 0.25),
}
"""Fields that show as the first axis of a parameter, and the factor between them; not every mixer has it."""


def detect_config(state: Mapping[str, Tensor], header: str | None = None) -> LSMConfig:
    """Find the configuration of a network from its weights.

    Our state dicts carry their configuration; it is checked against the shapes. Official ones carry the windows in
    their position tables, and everything else that matters in their shapes; they get the `official` recurrence.

    Args:
        state: A whole state dict, in our names or in the official ones.
        header: The configuration as JSON from a file's header, for a state dict that does not carry it.

    Returns:
        The configuration.

    Raises:
        CheckpointError: If this is no state dict of LSM, or contradicts its own configuration.
    """
    try:
        if is_official(state):
            shapes = _from_shapes(from_official(state))
            return LSMConfig(**shapes, split_size=_official_window(state), recurrence=RecurrenceConfig("official"))
        shapes = _from_shapes(state)
        carried = decode_config(state[CONFIG_KEY]) if CONFIG_KEY in state else json.loads(header or "")
        config = LSMConfig.from_dict(carried)
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"Not a checkpoint of LSM: it has no {error.args[0]!r}.") from error
    except json.JSONDecodeError as error:
        raise CheckpointError("The weights carry no configuration, neither among them nor in a header.") from error
    except (OptionError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"Not a checkpoint of LSM: {error}") from error
    stated = {name: getattr(config, name) for name in shapes}
    # At scale 1, an unshuffle makes channels of pixels, and the upsampler undoes it.
    stated["in_chans"] = config.in_chans * config.unshuffle**2
    stated["upscale"] = config.upscale * (config.unshuffle if config.upsampler == "classical" else 1)
    stated["mlp_ratio"] = config.mlp_hidden(mixer=config.placement == "mixer") / config.embed_dim
    for name, value in shapes.items():
        if stated[name] != value:
            raise CheckpointError(
                f"The weights contradict their configuration: {name} is {truncate_repr(stated[name])} there, but the "
                f"shapes say {truncate_repr(value)}."
            )
    return config


def _from_shapes(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read what the shapes of our parameters tell."""
    embed_dim, in_chans = state["shallow.weight"].shape[:2]
    depths: list[int] = []
    while f"groups.{len(depths)}.conv.weight" in state:
        group, blocks = len(depths), 0
        while f"groups.{group}.blocks.{blocks}.gamma" in state:
            blocks += 1
        depths.append(blocks)
    convs = sorted(
        int(name.split(".")[1]) for name in state if name.startswith("upsampler.") and name.endswith(".weight")
    )
    widths = [state[f"upsampler.{index}.weight"].shape[0] for index in convs]
    if len(widths) == 1:
        # Both ends of a network behind a pixel unshuffle have the u² pixels of a token as channels.
        upsampler, upscale = "light", math.isqrt(widths[0] // in_chans)
    else:
        upsampler, upscale = "classical", math.prod(math.isqrt(width // widths[0]) for width in widths[1:-1])
    shapes: dict[str, Any] = {
        "upscale": upscale,
        "in_chans": in_chans,
        "embed_dim": embed_dim,
        "depths": tuple(depths),
        "mlp_ratio": state["groups.0.blocks.0.mlp.fc1.weight"].shape[0] / embed_dim,
        "upsampler": upsampler,
    }
    for field, (ending, factor) in _OF_MIXERS.items():
        found = [tensor.shape[0] for name, tensor in state.items() if name.endswith(ending)]
        if found:
            shapes[field] = int(factor * found[0])
    return shapes


def _official_window(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Read (h, w) from an official table of offsets, which runs from (1−h, 1−w) to (h−1, w−1)."""
    h, w = state["layers.0.blocks.0.attn.attns.0.rpe_biases"].amax(dim=0).tolist()
    return int(h) + 1, int(w) + 1
