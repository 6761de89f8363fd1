"""LSM: image super-resolution with window attention and a linear recurrent unit with semantic modulation."""

from lsm.arch import LSM, LSMConfig, create_model
from lsm.scan import linear_scan
from lsm.weights import load_model

__all__ = ["LSM", "LSMConfig", "create_model", "linear_scan", "load_model"]
