"""What is already done: rows on disk as they come, so that a killed run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsm.benchmark.results import ImageResult, result_from_dict, result_line
from lsm.errors import InputError
from lsm.files import append_line


def result_key(facts: Mapping[str, Any]) -> str:
    """Hash everything that a row's figures depend on; a row is only ever taken again under the same key.

    Args:
        facts: Plain values: hashes of network, data and code, protocol, scale, versions, kind of device.

    Returns:
        SHA-256 in hexadecimal.
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Journal:
    """Appends rows to a file of this process's own, and reads those of all processes.

    Args:
        folder: Where the files are; made if missing.
        rank: Number of this process.

    Raises:
        InputError: If the folder cannot be made.
    """

    def __init__(self, folder: Path, rank: int = 0) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror}.") from error
        self._folder = folder
        self._path = folder / f"rows-{rank}.jsonl"

    def read(self) -> dict[str, ImageResult]:
        """Return the rows of all runs by their key; a line that was cut off when a run was killed is left out."""
        rows: dict[str, ImageResult] = {}
        for path in sorted(self._folder.glob("rows-*.jsonl")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    row = result_from_dict(json.loads(line))
                except (ValueError, TypeError, KeyError):
                    continue
                rows[row.key] = row
        return rows

    def append(self, row: ImageResult) -> None:
        """Write a row at once; the escapes of names that are no text are JSON's too."""
        append_line(self._path, result_line(row))
