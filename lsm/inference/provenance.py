"""What made a result, in words: enough to make it again."""

from __future__ import annotations

from pathlib import Path

from lsm.image.io import printable
from lsm.inference.upscaler import Upscaler
from lsm.version import __version__


def describe(weights: str, upscaler: Upscaler) -> str:
    """Return program, weights and settings in one line.

    Args:
        weights: Their name or file.
        upscaler: What ran them.
    """
    name = printable(Path(weights).name if Path(weights).suffix else weights)
    tile = upscaler.max_tile
    tiles = f"tiles of at most {tile} (overlap {upscaler.options.tile_overlap})" if tile else "no tiles"
    ensemble = ", ensemble" if upscaler.options.ensemble else ""
    ensemble += ", wrapped" if upscaler.options.wrap else ""
    engine = f" in {upscaler.model.engine}" if isinstance(getattr(upscaler.model, "engine", None), str) else ""
    place = f"{upscaler.precision}{engine} on {upscaler.device}"
    return f"lsm {__version__}, {name}, x{upscaler.scale:g}, {tiles}, {place}{ensemble}"


def processing_note(settings: str, seed: int) -> str:
    """Return the note that goes into results' EXIF.

    Args:
        settings: From `describe`.
        seed: Of the `Upscaler`.
    """
    return f"{settings}, seed {seed}"
