"""The published networks, and a tiny one for CPUs, as differences from the defaults of `LSMConfig` (paper §4.1)."""

from __future__ import annotations

from typing import Any

from lsm.arch.config import LSMConfig, Recurrence, RecurrenceConfig
from lsm.arch.convolutional_config import ConvolutionalConfig
from lsm.errors import OptionError, unknown_name

_CLASSICAL = {"embed_dim": 180, "num_heads": 5, "mlp_ratio": 2.0, "d_state": 32, "upsampler": "classical"}

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
        "recurrence": {"categories": "argmax"},
        "init": "bilinear",
    },
}


CONVOLUTIONAL: dict[str, dict[str, Any]] = {
    "fast": {},
    "nano": {"embed_dim": 16, "blocks": 6, "context_after": (3,), "context_dim": 16, "d_state": 4},
}
"""The convolutional networks with context blocks, as differences from the defaults of `ConvolutionalConfig`."""

VARIANTS = (*PRESETS, *CONVOLUTIONAL)
"""The names of all presets."""


def preset_config(
    variant: str, scale: int = 4, /, recurrence: Recurrence = "paper", **overrides: Any
) -> LSMConfig | ConvolutionalConfig:
    """Return the configuration of a preset.

    Args:
        variant: One of `PRESETS`.
        scale: r; like `variant` by its place, since whatever a config calls `scale` is an override, and unknown.
        recurrence: "paper", "official" or "gated"; or a mapping of the fields of `RecurrenceConfig`, e.g.
            `{"mode": "gated", "scan_order": "hilbert"}`.
        **overrides: Any other field of `LSMConfig`.

    Raises:
        OptionError: On an unknown preset or field, or a value that no network can be built with.
    """
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise OptionError(unknown_name("variant of LSM", variant, VARIANTS))
    if variant in CONVOLUTIONAL:
        preset = CONVOLUTIONAL[variant]
        return ConvolutionalConfig.from_dict({**preset, "upscale": scale, "recurrence": recurrence, **overrides})
    preset = PRESETS[variant]
    parsed = RecurrenceConfig.parse(recurrence, preset.get("recurrence"))
    return LSMConfig.from_dict({**preset, "upscale": scale, "recurrence": parsed, **overrides})
