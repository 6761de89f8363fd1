"""The network: configuration, building blocks, upsamplers, and LSM itself."""

from lsm.arch.base import Network
from lsm.arch.build import build_network, build_preset
from lsm.arch.config import LSMConfig
from lsm.arch.convolutional import ConvolutionalLSM
from lsm.arch.convolutional_config import ConvolutionalConfig
from lsm.arch.network import LSM
from lsm.arch.presets import CONVOLUTIONAL, PRESETS, VARIANTS, preset_config

__all__ = [
    "CONVOLUTIONAL",
    "LSM",
    "PRESETS",
    "VARIANTS",
    "ConvolutionalConfig",
    "ConvolutionalLSM",
    "LSMConfig",
    "Network",
    "build_network",
    "build_preset",
    "preset_config",
]
