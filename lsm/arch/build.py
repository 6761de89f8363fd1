"""From a configuration, or a preset's name, to a network with random weights."""

from __future__ import annotations

from typing import Any

from lsm.arch.base import Network
from lsm.arch.config import LSMConfig
from lsm.arch.convolutional import ConvolutionalLSM
from lsm.arch.convolutional_config import ConvolutionalConfig
from lsm.arch.network import LSM
from lsm.arch.presets import preset_config
from lsm.mixers.recurrence import Recurrence


def build_network(config: LSMConfig | ConvolutionalConfig) -> Network:
    """Build the network of a configuration, with random weights and in training mode."""
    return ConvolutionalLSM(config) if isinstance(config, ConvolutionalConfig) else LSM(config)


def build_preset(variant: str, scale: int = 4, recurrence: Recurrence = "paper", **overrides: Any) -> Network:
    """Build a network with random weights, in training mode.

    Args:
        variant: A preset: "fast", "nano", "tiny", "light", "s" or "base".
        scale: r: 2, 3 or 4; 8 for presets with the classical upsampler; 1 with a `task` of restoration.
        recurrence: "paper"; "official" for what the published implementation computes; or "gated", see
            `lsm.mixers.recurrence.RECURRENCES`. A mapping gives details, `{"mode": "gated", "scan_order": "hilbert"}`.
        **overrides: Any other field of `LSMConfig`, e.g. `embed_dim=24`; of `ConvolutionalConfig` for "fast", "nano".

    Raises:
        OptionError: On an unknown preset or option, or a value that no network can be built with.
    """
    return build_network(preset_config(variant, scale, recurrence, **overrides))
