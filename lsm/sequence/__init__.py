"""Sequences of one dimension: the linear recurrent unit, and U-Nets of it and of its baselines."""

from lsm.sequence.lru import LRU
from lsm.sequence.lru_unet import LRUUNet
from lsm.sequence.unet1d import UNet1d, build_unet

__all__ = ["LRU", "LRUUNet", "UNet1d", "build_unet"]
