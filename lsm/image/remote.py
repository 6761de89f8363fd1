"""Files in object stores and on other machines, by URL, with the few members of `pathlib.Path` that images need.

fsspec, which torch brings, knows the kinds of URL; most need a further package (s3: s3fs, gs: gcsfs, az: adlfs).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar, cast

from lsm.errors import OptionError, one_line
from lsm.files import passing_name

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://(?P<path>.*)", re.DOTALL)
_WHOLE_AT_ONCE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "memory"})
"""Stores in which an object is not seen before it is whole; in the others a file is written aside, then moved."""

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder by its URL.

    Attributes:
        url: Without a slash at its end.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, place: str | Path) -> RemotePath:
        inner = place.as_posix() if isinstance(place, Path) else place
        return self if inner in ("", ".") else RemotePath(f"{self.url}/{inner}")

    @property
    def name(self) -> str:
        """The last part."""
        return self._path.name

    @property
    def suffix(self) -> str:
        """The extension with its dot."""
        return self._path.suffix

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self._path.stem

    @property
    def parent(self) -> RemotePath:
        """The folder."""
        return RemotePath(self.url.rpartition("/")[0])

    @property
    def _path(self) -> PurePosixPath:
        match = _URL.fullmatch(self.url)
        assert match is not None
        return PurePosixPath(match["path"])

    def exists(self) -> bool:
        """Return whether there is such a file or folder now."""
        return self._ask(lambda system, path: bool(system.exists(path)))

    def is_file(self) -> bool:
        """Return whether there is such a file."""
        return self._ask(lambda system, path: bool(system.isfile(path)))

    def is_dir(self) -> bool:
        """Return whether there is such a folder; in an object store, whether anything lies below the name."""
        return self._ask(lambda system, path: bool(system.isdir(path)))

    def files(self) -> list[RemotePath]:
        """List all files below, none if there is no such folder."""

        def find(system: Any, path: str) -> list[RemotePath]:
            found = system.find(path)
            return [self / name[len(path) :].lstrip("/") for name in map(system._strip_protocol, found)]

        return self._ask(find)

    def read_bytes(self) -> bytes:
        """Read the whole file."""
        return self._ask(lambda system, path: cast(bytes, system.cat_file(path)))

    @contextlib.contextmanager
    def open(self, mode: str = "rb") -> Iterator[BinaryIO]:
        """Open the file for reading bytes here and there; only what is read is fetched."""
        with self._ask(lambda system, path: system.open(path, mode)) as file:
            yield file

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Make the folder where the store has folders; in an object store it would make buckets."""

        def make(system: Any, path: str) -> None:
            if not _is_object_store(system):
                system.makedirs(path, exist_ok=exist_ok)

        self._ask(make)

    @contextlib.contextmanager
    def new_file(self, replace: bool = True) -> Iterator[BinaryIO]:
        """Collect a new file in memory, and store it whole when the block ends well.

        Args:
            replace: Whether a file of that name may be replaced.

        Raises:
            FileExistsError: If it may not, and there is one.
            OSError: If it cannot be stored.
        """
        file = io.BytesIO()
        yield file
        self._ask(lambda system, path: _store(system, path, file.getvalue(), replace, self.url))

    def _ask(self, question: Callable[[Any, str], T]) -> T:
        """Ask the store, with what is known of it forgotten, since others change it too.

        Raises:
            OSError: On every failure; the stores' libraries have exceptions of their own.
            OptionError: If the kind of URL is unknown or needs a package that is not installed.
        """
        from fsspec.core import url_to_fs

        try:
            system, path = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise OptionError(f"{self.url}: this kind of URL cannot be used here: {error}") from error
        try:
            system.invalidate_cache()
            return question(system, path)
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{self.url}: {type(error).__name__}: {one_line(error)}") from error


AnyPath = Path | RemotePath


def any_path(name: str | os.PathLike[str] | RemotePath) -> AnyPath:
    """Take a name for a URL if it looks like one, else for a file of this machine."""
    if isinstance(name, RemotePath | Path):  # as it is: a kind of path may know where its bytes are
        return name
    if isinstance(name, str) and _URL.fullmatch(name):
        return RemotePath(name.rstrip("/"))
    return Path(name)


def exists(path: AnyPath) -> bool:
    """Return whether there is such a file, without an error if the name is too long for one."""
    return path.exists() if isinstance(path, RemotePath) else os.path.exists(path)  # noqa: PTH110


def _is_object_store(system: Any) -> bool:
    kinds = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    return bool(kinds & _WHOLE_AT_ONCE)


def _store(system: Any, path: str, data: bytes, replace: bool, url: str) -> None:
    """Write a file whole or not at all."""
    if not replace and system.exists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), url)
    if _is_object_store(system):
        system.pipe_file(path, data)
        return
    part = f"{path.rpartition('/')[0]}/{passing_name('part')}"
    try:
        system.pipe_file(part, data)
        system.mv(part, path)
    except BaseException:
        with contextlib.suppress(Exception):  # there may be none
            system.rm_file(part)
        raise
