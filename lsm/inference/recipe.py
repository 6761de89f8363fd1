"""What it takes to make an `Upscaler`, here or on another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lsm.inference.models import open_network
from lsm.inference.upscaler import Upscaler


@dataclass(frozen=True)
class Recipe:
    """Weights and options; see `Upscaler` for those that are not explained here.

    Attributes:
        weights: A name or file for `open_network`.
        task: What the network must be for, one of `lsm.arch.config.TASKS`.
    """

    weights: str
    tile: int | str = "auto"
    tile_overlap: int = 32
    precision: str = "fp32"
    device: str = "auto"
    ensemble: bool = False
    scale: float | None = None
    alpha: str = "model"
    seed: int = 0
    task: str = "sr"

    def build(self, weights: Path | None = None) -> Upscaler:
        """Make the upscaler.

        Args:
            weights: The same weights in another place.

        Raises:
            CheckpointError: If the weights cannot be read.
            OptionError: On a wrong option, or if the network is for another task.
        """
        network = open_network(str(weights or self.weights), self.task)
        options = (self.tile, self.tile_overlap, self.precision, self.device, self.ensemble)
        return Upscaler(network, *options, scale=self.scale, alpha=self.alpha, seed=self.seed)
