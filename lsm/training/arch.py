"""Makes the network known to BasicSR: `network_g: {type: LSM, variant: light, upscale: 4}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from lsm.training.compat import ARCH_REGISTRY


@ARCH_REGISTRY.register()
def LSM(
    variant: str = "light", upscale: int = 4, recurrence: str | Mapping[str, Any] = "paper", **overrides: Any
) -> nn.Module:
    """Build the network from the keys of a config's `network_g`.

    Args:
        variant: A preset's name: `"fast"`, `"nano"`, `"tiny"`, `"light"`, `"s"` or `"base"`.
        upscale: The scale r; 1 for restoration, with a `task`.
        recurrence: `"paper"`, `"official"`, `"gated"`, or a mapping with details, see
            `lsm.mixers.recurrence.RecurrenceConfig`.
        **overrides: Fields of `LSMConfig` or `ConvolutionalConfig` that differ from the preset.

    Returns:
        The network, (B, 3, H, W) in [0, 1] to (B, 3, rH, rW).
    """
    from lsm.arch.build import build_preset

    network: nn.Module = build_preset(variant, upscale, recurrence, **overrides)
    return network
