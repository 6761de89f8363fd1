"""LSM: image super-resolution with window attention and a linear recurrent unit with semantic modulation."""

from lsm.arch import LSM, LSMConfig, create_model
from lsm.inference.upscaler import Upscaler
from lsm.scan import linear_scan
from lsm.sequence import LRU, LRUUNet
from lsm.weights import load_model

__all__ = ["LRU", "LSM", "LRUUNet", "LSMConfig", "Upscaler", "create_model", "linear_scan", "load_model"]
