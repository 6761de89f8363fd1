"""Makes the network known to BasicSR: `network_g: {type: LSM, variant: light, upscale: 4}`."""

from __future__ import annotations

from typing import Any

from torch import nn

from lsm.training.compat import ARCH_REGISTRY


@ARCH_REGISTRY.register()
def LSM(variant: str = "light", upscale: int = 4, recurrence: str = "paper", **overrides: Any) -> nn.Module:
    """Build the network from the keys of a config's `network_g`.

    Args:
        variant: A preset's name: `"tiny"`, `"light"`, `"s"` or `"base"`.
        upscale: The scale r; 1 for restoration, with a `task`.
        recurrence: One of `lsm.arch.config.RECURRENCES`.
        **overrides: Fields of `LSMConfig` that differ from the preset.

    Returns:
        The network, (B, 3, H, W) in [0, 1] to (B, 3, rH, rW).
    """
    from lsm.arch import LSM, preset_config
    from lsm.arch.convolutional import ConvolutionalLSM
    from lsm.arch.convolutional_config import ConvolutionalConfig

    config = preset_config(variant, upscale, recurrence, **overrides)
    return ConvolutionalLSM(config) if isinstance(config, ConvolutionalConfig) else LSM(config)
