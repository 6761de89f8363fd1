"""What made a result, in words: enough to make it again."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from lsm.image.io import printable
from lsm.inference.upscaler import Upscaler


def described(weights: str, upscaler: Upscaler) -> str:
    """Name program, weights and settings in one line.

    Args:
        weights: As `open_network` takes them.
        upscaler: What ran them.
    """
    version = installed_version("lsm-sr") or "development"  # run from a checkout that is not installed
    name = printable(Path(weights).name if Path(weights).suffix else weights)
    tile = upscaler.max_tile
    tiles = f"tiles of at most {tile} (overlap {upscaler.tile_overlap})" if tile else "no tiles"
    ensemble = ", ensemble" if upscaler.ensemble else ""
    engine = f" in {upscaler.model.engine}" if isinstance(getattr(upscaler.model, "engine", None), str) else ""
    place = f"{upscaler.precision}{engine} on {upscaler.device}"
    return f"lsm {version}, {name}, x{upscaler.scale:g}, {tiles}, {place}{ensemble}"


def installed_version(package: str) -> str | None:
    """Give the version of a package, none if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processing_note(settings: str, seed: int) -> str:
    """Give the note that goes into results' EXIF.

    Args:
        settings: From `described`.
        seed: Of the `Upscaler`.
    """
    return f"{settings}, seed {seed}"
