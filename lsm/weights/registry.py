"""The weights that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from lsm.errors import CheckpointError, unknown_name

EMBEDDED = ("tiny-x2", "tiny-x3", "tiny-x4", "tiny-denoise")
"""Names of the embedded weights: preset, and scale or task of restoration."""

_FOLDER = Path(__file__).parent / "embedded"


def embedded_path(name: str) -> Path:
    """Return the file of embedded weights, one of `EMBEDDED`."""
    return _FOLDER / f"{name}.safetensors"


def embedded_name(variant: str, scale: int) -> str:
    """Return the name of a preset's weights at a scale.

    Raises:
        CheckpointError: If none are embedded.
    """
    name = f"{variant}-x{scale}"
    if name not in EMBEDDED:
        raise CheckpointError(unknown_name("weights", name, EMBEDDED))
    return name
