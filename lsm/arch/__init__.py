"""The network: configuration, building blocks, reconstruction heads, and LSM itself."""

from lsm.arch.config import PRESETS, LSMConfig, preset_config
from lsm.arch.network import LSM, create_model

__all__ = ["LSM", "PRESETS", "LSMConfig", "create_model", "preset_config"]
