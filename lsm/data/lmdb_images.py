"""Images in an LMDB as BasicSR makes it, read as if they were files: paths whose bytes are in the database."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsm.errors import InputError, needs_extra, one_line

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # that of this system: Path itself cannot be subclassed before Python 3.12

_opened: dict[str, Any] = {}
"""Open databases by path."""


def _close_all() -> None:
    """Close all databases; they are opened again when an image is read."""
    while _opened:
        _opened.popitem()[1].close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_all)  # no open database may be taken into a worker process


class LmdbImage(_Path):
    """An image in an LMDB, by the path `NAME.lmdb/KEY.png`."""

    __slots__ = ()

    def read_bytes(self) -> bytes:
        """Return the bytes of the image file.

        Raises:
            FileNotFoundError: If the database has no such key.
        """
        with _database(self.parent).begin(buffers=False) as transaction:
            data = transaction.get(self.stem.encode())
        if data is None:
            raise FileNotFoundError(2, "No such key in the database", str(self))
        return bytes(data)

    def open(self, *_args: Any, **_kwargs: Any) -> Any:
        """Open the image file for reading bytes."""
        return io.BytesIO(self.read_bytes())


def list_lmdb(folder: Path) -> list[Path]:
    """List the images of a database, sorted by key, from the list `meta_info.txt` in it.

    Raises:
        InputError: If the list cannot be read.
        OptionError: If the library lmdb is not installed.
    """
    try:
        lines = (folder / "meta_info.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{folder}: no LMDB of BasicSR's, whose meta_info.txt cannot be read: {one_line(error)}."
        ) from error
    with needs_extra("lmdb", "Images in an LMDB need the library lmdb"):
        import lmdb  # noqa: F401  (asked for before anything starts)
    # A line is "KEY.png (HEIGHT,WIDTH,3) 1"; the key is what comes before the first dot.
    keys = sorted(line.split(".")[0] for line in lines if line.strip())
    return [LmdbImage(folder / f"{key}.png") for key in keys]


def _database(folder: Path) -> Any:
    """Return the open database of a folder."""
    import lmdb

    name = str(folder)
    if name not in _opened:
        try:
            _opened[name] = lmdb.open(name, readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise InputError(f"{folder}: the database cannot be opened: {one_line(error)}.") from error
    return _opened[name]
