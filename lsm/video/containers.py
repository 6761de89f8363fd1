"""The containers that videos are written to."""

from __future__ import annotations

from pathlib import Path

from lsm.errors import OptionError, unknown_name

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's names of the containers by the extensions of outputs."""


def container_of(target: Path) -> str:
    """Return the container that a name's extension asks for.

    Raises:
        OptionError: If it is none of `CONTAINERS`.
    """
    if target.suffix.lower() not in CONTAINERS:
        raise OptionError(unknown_name("video extension", target.suffix, CONTAINERS))
    return CONTAINERS[target.suffix.lower()]
