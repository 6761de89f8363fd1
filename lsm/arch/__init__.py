"""The network: configuration, building blocks, upsamplers, and LSM itself."""

from lsm.arch.config import LSMConfig
from lsm.arch.network import LSM, create_model
from lsm.arch.presets import PRESETS, preset_config

__all__ = ["LSM", "PRESETS", "LSMConfig", "create_model", "preset_config"]
