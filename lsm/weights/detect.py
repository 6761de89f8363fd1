"""From a state dict to the configuration of its network: the weights alone decide."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lsm.arch.config import LSMConfig
from lsm.arch.network import CONFIG_KEY, decode_config
from lsm.errors import CheckpointError, OptionError
from lsm.weights.keys import from_released, is_released

_FROM_SHAPES = (
    "upscale", "in_chans", "embed_dim", "depths", "num_heads",
    "mlp_ratio", "d_state", "num_tokens", "head", "position_dim",
)  # fmt: skip


def detect_config(state: Mapping[str, Tensor], header: str | None = None) -> LSMConfig:
    """Find the configuration of a network from its weights.

    Our state dicts carry their configuration; it is checked against the shapes. Released ones carry the windows in
    their position tables, and everything else that matters in their shapes; they get `released` semantics.

    Args:
        state: A whole state dict, in our names or in the released ones.
        header: The configuration as JSON from a file's header, for a state dict that does not carry it.

    Returns:
        The configuration.

    Raises:
        CheckpointError: If this is no state dict of LSM, or contradicts its own configuration.
    """
    try:
        if is_released(state):
            shapes = _from_shapes(from_released(state))
            return LSMConfig(**shapes, split_size=_released_window(state), semantics="released")
        shapes = _from_shapes(state)
        carried = decode_config(state[CONFIG_KEY]) if CONFIG_KEY in state else json.loads(header or "")
        config = LSMConfig.from_dict(carried)
    except CheckpointError:
        raise
    except KeyError as error:
        raise CheckpointError(f"Not a checkpoint of LSM: it has no {error.args[0]!r}.") from error
    except json.JSONDecodeError as error:
        raise CheckpointError("The weights carry no configuration, neither among them nor in a header.") from error
    except (OptionError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(f"Not a checkpoint of LSM: {error}") from error
    for name in _FROM_SHAPES:
        if getattr(config, name) != shapes[name]:
            raise CheckpointError(
                f"The weights contradict their configuration: {name} is {getattr(config, name)} there, but the shapes "
                f"say {shapes[name]}."
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
    block, scan = "groups.0.blocks.0", "groups.0.blocks.1.mixer"
    convs = sorted(int(name.split(".")[1]) for name in state if name.startswith("head.") and name.endswith(".weight"))
    widths = [state[f"head.{index}.weight"].shape[0] for index in convs]
    if len(widths) == 1:
        head, upscale = "light", math.isqrt(widths[0] // in_chans)
    else:
        head, upscale = "classical", math.prod(math.isqrt(width // widths[0]) for width in widths[1:-1])
    return {
        "upscale": upscale,
        "in_chans": in_chans,
        "embed_dim": embed_dim,
        "depths": tuple(depths),
        "num_heads": 2 * state[f"{block}.mixer.bias.0.layers.2.2.weight"].shape[0],
        "mlp_ratio": state[f"{block}.mlp.fc1.weight"].shape[0] / embed_dim,
        "d_state": state[f"{scan}.core.nu_log"].shape[0],
        "num_tokens": state[f"{scan}.modulation.dictionary"].shape[0],
        "head": head,
        "position_dim": state[f"{block}.mixer.bias.0.project.weight"].shape[0],
    }


def _released_window(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Read (h, w) from a released table of offsets, which runs from (1−h, 1−w) to (h−1, w−1)."""
    h, w = state["layers.0.blocks.0.attn.attns.0.rpe_biases"].amax(dim=0).tolist()
    return int(h) + 1, int(w) + 1
