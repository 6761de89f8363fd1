"""Archives unpacked without trust: nothing may leave the folder, and every file appears whole or not at all."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lsm.errors import InputError
from lsm.files import atomic_file

_LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
MOST_INFLATION, MOST_MEMBERS = 100, 200_000
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: Its path in the archive.
        size: Bytes.
        open: Opens it to read; none if it is no plain file but a link or a device.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]] | None


def extract(
    archive: Path,
    folder: Path,
    beginnings: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    place: Callable[[str], str] | None = None,
) -> list[Path]:
    """Unpack a tar or zip archive.

    All members are looked at before the first is written. Files that are there in their full size are left.

    Args:
        archive: A zip, or a tar of any compression.
        folder: Where to; made if missing.
        beginnings: Beginnings of the names of wanted members; all if empty.
        progress: Called with the files done and all files.
        place: Changes the name of a member to where it goes in the folder.

    Returns:
        The files.

    Raises:
        InputError: If a member points outside of the folder or is a link, the archive is damaged or of another kind,
            has none of the wanted members, unpacks to far more than it is, or there is no room.
    """
    try:
        with _opened(archive) as listed:
            everything = _checked(listed, archive)
            members = [m for m in everything if _wanted(m.name, beginnings)]
            if not members:
                raise InputError(f"{archive}: holds no files{' of ' + ', '.join(beginnings) if beginnings else ''}.")
            folder.mkdir(parents=True, exist_ok=True)
            _check_room(members, archive, folder)
            files = []
            for number, member in enumerate(members, 1):
                name = member.name.removeprefix("./")
                files.append(_write(member, folder / PurePosixPath(place(name) if place else name)))
                if progress:
                    progress(number, len(members))
            return files
    except _DAMAGED as error:
        raise InputError(f"{archive}: damaged or cut off: {error}. Delete it and download it again.") from error
    except OSError as error:
        raise InputError(f"{archive}: cannot be unpacked to {folder}: {error.strerror or error}.") from error


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[Member]]:
    """Open an archive of either kind and list its members one by one, folders left out."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield (
                Member(info.filename, info.file_size, None if _is_zip_link(info) else _zip_opener(archive, info))
                for info in archive.infolist()
                if not info.is_dir()
            )
    elif path.is_file() and tarfile.is_tarfile(path):
        with tarfile.open(path) as tar:
            yield (
                Member(info.name, info.size, _tar_opener(tar, info) if info.isfile() else None)
                for info in tar
                if not info.isdir()
            )
    else:
        raise InputError(f"{path}: is neither a zip nor a tar archive.")


def _is_zip_link(info: zipfile.ZipInfo) -> bool:
    return (info.external_attr >> 16) & 0o170000 == 0o120000


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _tar_opener(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def opener() -> IO[bytes]:
        file = archive.extractfile(info)
        if file is None:
            raise tarfile.ReadError(f"{info.name} cannot be read")
        return file

    return opener


def _checked(members: Iterator[Member], archive: Path) -> list[Member]:
    """Look at all members; an archive that unpacks to far more than images can is refused before it is read on."""
    found, left = [], MOST_INFLATION * archive.stat().st_size + (64 << 20)
    for member in members:
        _check(member, archive)
        found.append(member)
        left -= member.size
        if left < 0 or len(found) > MOST_MEMBERS:
            raise InputError(
                f"{archive}: refused, since it unpacks to more than {MOST_INFLATION} times its size, or holds more "
                f"than {MOST_MEMBERS:,} files; sets of images do neither."
            )
    return found


def _check(member: Member, archive: Path) -> None:
    """Refuse what could write outside of the folder, under the rules of any system."""
    path = PurePosixPath(member.name)
    outside = path.is_absolute() or ".." in path.parts or any(sign in member.name for sign in ("\\", ":", "\0"))
    if outside:
        raise InputError(f"{archive}: refused, since its member {member.name!r} points outside of the folder.")
    if member.open is None:
        raise InputError(f"{archive}: refused, since its member {member.name!r} is a link or a device.")


def _wanted(name: str, beginnings: Sequence[str]) -> bool:
    plain = name.removeprefix("./")
    if any(part in _LITTER for part in PurePosixPath(plain).parts):
        return False
    return not beginnings or plain.startswith(tuple(beginnings))


def _check_room(members: Sequence[Member], archive: Path, folder: Path) -> None:
    need, free = sum(member.size for member in members), shutil.disk_usage(folder).free
    if need > free:
        raise InputError(f"{archive}: unpacks to {need:,} bytes; {free:,} are free in {folder}.")


def _write(member: Member, target: Path) -> Path:
    if target.is_file() and target.stat().st_size == member.size:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    assert member.open is not None
    with member.open() as source, atomic_file(target) as file:
        shutil.copyfileobj(source, file, 1 << 20)
        if file.tell() != member.size:
            raise InputError(f"{member.name} has {file.tell():,} bytes where {member.size:,} are announced.")
    return target
