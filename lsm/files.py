"""Files that are there whole or not at all, and folders that one process at a time may use."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from lsm.errors import InputError, OptionError

_LITTER_AGE = 60.0  # seconds; a younger file may be between its making and its locking, or its closing and its move
_LOCKED = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextlib.contextmanager
def atomic_file(path: Path, replace: bool = True) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends well, and vanishes when it does not.

    What killed processes left half-written in the same folder is deleted.

    Args:
        path: The file to make.
        replace: Whether a file of that name may be replaced.

    Raises:
        FileExistsError: If it may not, and there is one by the time the new one is whole.
        OSError: If the folder cannot be written to.
    """
    _remove_litter(Path(os.path.abspath(path.parent)))  # noqa: PTH100  (as it is, whatever its links point to)
    part = path.with_name(passing_name("part"))
    try:
        with part.open("x+b") as file:
            _try_lock(file)
            yield file
        _move(part, path, replace)
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        with contextlib.suppress(OSError):  # there may be none, or nothing can be deleted here
            part.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, part, str(part)):
            error.filename = str(path)  # it has none where the disk is full; that of a file the block reads stays
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        with atomic_file(path) as file:
            file.write(text.encode(errors="backslashreplace"))  # names of files may be no text
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}.") from error


def append_line(path: Path, text: str) -> None:
    """Append a line to a file, which is made if it is missing; on a new line, should the last one have been cut off."""
    with path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(text.encode(errors="backslashreplace") + b"\n")  # names of files may be no text


def passing_name(ending: str) -> str:
    """Return a new hidden name for a temporary file of this process."""
    return f".lsm-{os.getpid()}-{secrets.token_hex(4)}.{ending}"


@contextlib.contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Keep a folder to this process while the block runs; the system lets go of it however the process ends.

    Raises:
        OptionError: If another process has it.
        OSError: If the folder cannot be written to.
    """
    with (folder / ".lock").open("a") as file:
        if not _try_lock(file):
            raise OptionError(f"{folder} is in use by another process; wait for its end, or choose another name.")
        yield


def _move(part: Path, path: Path, replace: bool) -> None:
    """Rename a complete file to its final name."""
    if replace:
        part.replace(path)
        return
    try:
        os.link(part, path)  # fails where the name is taken, which no question beforehand could promise
    except FileExistsError:
        raise
    except OSError as error:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        part.replace(path)
    else:
        part.unlink()


def _try_lock(file: IO[bytes] | IO[str]) -> bool:
    """Lock an open file until it is closed; false if another process has locked it, true where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _try_lock_on_windows(file)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, not inherited by workers that are forked
    except OSError as error:
        return error.errno not in _LOCKED
    return True


def _try_lock_on_windows(file: IO[bytes] | IO[str]) -> bool:
    import msvcrt

    try:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return False
    return True


@functools.lru_cache(maxsize=4096)  # once a folder: a run may write thousands of files to it
def _remove_litter(folder: Path) -> None:
    """Delete the unfinished files of processes that were killed."""
    own, youngest = f".lsm-{os.getpid()}-", time.time() - _LITTER_AGE
    for part in folder.glob(".lsm-*.part"):
        with contextlib.suppress(OSError):  # another process may be as quick
            if part.name.startswith(own) or part.stat().st_mtime > youngest:
                continue
            with part.open("r+b") as file:
                abandoned = _try_lock(file)
            if abandoned:
                part.unlink()
