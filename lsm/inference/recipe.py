"""What it takes to make an `Upscaler`, here or on another machine."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lsm.inference.image_io import printable
from lsm.inference.models import open_network
from lsm.inference.upscaler import Upscaler


@dataclass(frozen=True)
class Recipe:
    """Weights and options; see `Upscaler` for those that are not explained here.

    Attributes:
        weights: A name or file for `open_network`.
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

    def build(self, weights: Path | None = None) -> Upscaler:
        """Make the upscaler.

        Args:
            weights: The same weights in another place.

        Raises:
            CheckpointError: If the weights cannot be read.
            OptionError: On a wrong option.
        """
        network = open_network(str(weights or self.weights))
        options = (self.tile, self.tile_overlap, self.precision, self.device, self.ensemble)
        return Upscaler(network, *options, scale=self.scale, alpha=self.alpha, seed=self.seed)

    def describe(self, upscaler: Upscaler) -> str:
        """Say what makes the results, enough to make them again, with what the upscaler chose by itself."""
        try:
            version = metadata.version("lsm-sr")
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            version = "development"
        name = printable(Path(self.weights).name if Path(self.weights).suffix else self.weights)
        tile = upscaler.max_tile
        tiles = f"tiles of at most {tile} (overlap {upscaler.tile_overlap})" if tile else "no tiles"
        ensemble = ", ensemble" if upscaler.ensemble else ""
        engine = f" in {upscaler.model.engine}" if isinstance(getattr(upscaler.model, "engine", None), str) else ""
        place = f"{upscaler.precision}{engine} on {upscaler.device}"
        return f"lsm {version}, {name}, x{upscaler.scale:g}, {tiles}, {place}{ensemble}"
