"""LSM: image super-resolution with window attention and a linear recurrent unit with semantic modulation.

`import lsm` is light: PyTorch is imported when one of the names below is first used.
"""

from typing import TYPE_CHECKING

from lsm.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from lsm.arch.config import LSMConfig
    from lsm.arch.network import LSM
    from lsm.inference.options import UpscaleOptions
    from lsm.inference.upscaler import Upscaler
    from lsm.scan.api import linear_scan
    from lsm.sequence.lru import LRU
    from lsm.sequence.lru_unet import LRUUNet
    from lsm.version import __version__
    from lsm.weights.load import create_model, load_model, save_model
    from lsm.weights.resolve import list_models

__all__ = [
    "LRU",
    "LSM",
    "LRUUNet",
    "LSMConfig",
    "UpscaleOptions",
    "Upscaler",
    "__version__",
    "create_model",
    "linear_scan",
    "list_models",
    "load_model",
    "save_model",
]

_HOMES = {
    "LRU": "lsm.sequence.lru",
    "LSM": "lsm.arch.network",
    "LRUUNet": "lsm.sequence.lru_unet",
    "LSMConfig": "lsm.arch.config",
    "UpscaleOptions": "lsm.inference.options",
    "Upscaler": "lsm.inference.upscaler",
    "__version__": "lsm.version",
    "create_model": "lsm.weights.load",
    "linear_scan": "lsm.scan.api",
    "list_models": "lsm.weights.resolve",
    "load_model": "lsm.weights.load",
    "save_model": "lsm.weights.load",
}

__getattr__, __dir__ = _lazy_names(__name__, _HOMES)
