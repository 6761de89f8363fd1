"""The header of a safetensors file, read by hand: what is in it, without PyTorch and without the numbers.

A file begins with 8 bytes, the length n of the header as a little-endian integer; then n bytes of JSON: for each tensor
`{"dtype", "shape", "data_offsets"}`, and under `__metadata__` lines of text.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from lsm.errors import CheckpointError, first_line

LONGEST = 100_000_000
"""Bytes of a header at most, as the format's library has it."""

_FLOATS = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        metadata: Lines of text.
        shapes: Of the tensors of floating-point numbers, by name.
        size: Bytes of the file.
    """

    metadata: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    size: int

    @property
    def numbers(self) -> int:
        """How many floating-point numbers there are: a network's parameters, and its buffers where it has any."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def values(self, key: str) -> dict[str, object]:
        """Return the JSON object in a line of the metadata, an empty one if there is no such line."""
        found = json.loads(self.metadata.get(key, "{}"))
        return found if isinstance(found, dict) else {}


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file.

    Raises:
        CheckpointError: If the file cannot be read or is no such file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > LONGEST:
                raise ValueError(f"a header of {length} bytes")
            content = json.loads(file.read(length))
        metadata = content.pop("__metadata__", {})
        shapes = {name: tuple(entry["shape"]) for name, entry in content.items() if entry["dtype"] in _FLOATS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"Cannot read the header of {path}: {first_line(error)}") from error
    return Header(metadata, shapes, path.stat().st_size)
