"""Weights: what a name means, detection of the configuration, reading, writing, and those that come with the package.

Nothing is imported before it is asked for, so that names can be resolved and headers read without PyTorch.
"""

from typing import TYPE_CHECKING

from lsm.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from lsm.weights.load import Checkpoint, about_weights, build, create_model, load_model, read_checkpoint, save_model
    from lsm.weights.resolve import embedded_path, list_models

__all__ = [
    "Checkpoint",
    "about_weights",
    "build",
    "create_model",
    "embedded_path",
    "list_models",
    "load_model",
    "read_checkpoint",
    "save_model",
]

_LOAD = ("Checkpoint", "about_weights", "build", "create_model", "load_model", "read_checkpoint", "save_model")
_HOMES = dict.fromkeys(_LOAD, "lsm.weights.load") | dict.fromkeys(
    ("embedded_path", "list_models"), "lsm.weights.resolve"
)

__getattr__, __dir__ = _lazy_names(__name__, _HOMES)
