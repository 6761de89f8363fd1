"""The published networks, and a tiny one for CPUs, as differences from the defaults of `LSMConfig` (paper §4.1)."""

from __future__ import annotations

from typing import Any

from lsm.arch.config import LSMConfig
from lsm.arch.convolutional_config import ConvolutionalConfig
from lsm.errors import OptionError, unknown_name

_CLASSICAL = {"embed_dim": 180, "num_heads": 5, "mlp_ratio": 2.0, "d_state": 32, "head": "classical"}

PRESETS: dict[str, dict[str, Any]] = {
    "light": {},
    "s": {**_CLASSICAL, "depths": (5,) * 6},
    "base": {**_CLASSICAL, "depths": (5,) * 8},
    "tiny": {
        "embed_dim": 48,
        "depths": (4, 4),
        "num_heads": 2,
        "d_state": 8,
        "split_size": (8, 16),
        "pos_dim": 8,
        "drop_path_rate": 0.0,
        "categories": "argmax",
        "start": "bilinear",
    },
}


CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    "fast": {},
    "nano": {"embed_dim": 16, "blocks": 6, "context_after": (3,), "context_dim": 16, "d_state": 4},
}
"""The convolutional networks with context blocks, as differences from the defaults of `ConvolutionalConfig`."""


def preset_config(
    variant: str, scale: int = 4, recurrence: str = "paper", **overrides: Any
) -> LSMConfig | ConvolutionalConfig:
    """Return the configuration of a preset.

    Args:
        variant: One of `PRESETS`.
        scale: r.
        recurrence: One of `RECURRENCES`.
        **overrides: Any other field of `LSMConfig`.

    Raises:
        OptionError: On an unknown preset or field, or a value that no network can be built with.
    """
    if not isinstance(variant, str) or variant not in {**PRESETS, **CONVOLUTIONAL}:
        raise OptionError(unknown_name("variant of LSM", variant, [*PRESETS, *CONVOLUTIONAL]))
    if variant in CONVOLUTIONAL:
        values = {**CONVOLUTIONAL[variant], "upscale": scale, "recurrence": recurrence, **overrides}
        return ConvolutionalConfig.from_dict(values)
    return LSMConfig.from_dict({**PRESETS[variant], "upscale": scale, "recurrence": recurrence, **overrides})
