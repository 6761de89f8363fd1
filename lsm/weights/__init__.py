"""Weights: names, detection of the configuration, reading, writing, and those that come with the package."""

from lsm.weights.load import Checkpoint, about_weights, build, load_model, read_checkpoint, save_model
from lsm.weights.registry import EMBEDDED

__all__ = [
    "EMBEDDED",
    "Checkpoint",
    "about_weights",
    "build",
    "load_model",
    "read_checkpoint",
    "save_model",
]
