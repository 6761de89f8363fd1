"""The weights that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = ("tiny-x2", "tiny-x3", "tiny-x4", "tiny-denoise")
"""Names of the embedded weights: preset, and scale or task of restoration."""

_FOLDER = Path(__file__).parent / "embedded"


def embedded_path(name: str) -> Path:
    """Return the file of embedded weights, one of `EMBEDDED`."""
    return _FOLDER / f"{name}.safetensors"
