"""BasicSR's two side files of a folder of images: the list `meta_info`, and one LMDB instead of many files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from lsm.data.prepare import Prepared
from lsm.errors import InputError, needs_extra
from lsm.files import atomic_file
from lsm.image.io import printable

_PAGE = 4096
_BATCH = 200  # images a transaction: memory stays small, and so does the number of syncs


def files_in(prepared: Sequence[Prepared], folder: str) -> list[tuple[str, int, int]]:
    """List the files of one folder.

    Args:
        prepared: What was prepared.
        folder: Relative to the output folder, e.g. "LR_bicubic/X4".

    Returns:
        Path relative to the output folder, height and width of each, in order.
    """
    return [file for entry in prepared for file in entry.files if file[0].rsplit("/", 1)[0] == folder]


def write_meta_info(files: Sequence[tuple[str, int, int]], path: Path) -> None:
    """Write BasicSR's list of a folder: `NAME.png (HEIGHT,WIDTH,3)`, a line each.

    Args:
        files: Path, height and width of each file.
        path: The list to write; replaced if it exists.
    """
    lines = [f"{name.rsplit('/', 1)[-1]} ({height},{width},3)\n" for name, height, width in files]
    with atomic_file(path) as file:
        file.write("".join(lines).encode(errors="surrogateescape"))  # the names' own bytes, text or not


def write_lmdb(
    root: Path,
    files: Sequence[tuple[str, int, int]],
    keys: Sequence[str],
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Put the bytes of PNG files into one LMDB as BasicSR reads it, with its own `meta_info.txt` inside.

    The database is made beside its place and moved there when it is whole. It is sized by what goes in.

    Args:
        root: Folder to which the files' paths are relative.
        files: Path, height and width of each file.
        keys: Key of each; HR and LR of an image have the same.
        path: The database, `NAME.lmdb`; replaced if it exists.
        progress: Called with the files done and all files.

    Raises:
        OptionError: If the library lmdb is not installed.
        InputError: If two keys are the same, one is no text of a line without dots, or a file cannot be read.
    """
    with needs_extra("lmdb", "An LMDB needs the library lmdb"):
        import lmdb
    if len(set(keys)) < len(keys):
        raise InputError(f"{path}: two images have the same key.")
    for key in keys:
        if not _is_key(key):
            raise InputError(
                f"{printable(key)}: the keys of an LMDB are texts of one line without dots; rename the image, or "
                "leave `lmdb` out."
            )
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    # Values lie on whole pages; keys, branches and free pages take the rest.
    pages = sum((root / name).stat().st_size // _PAGE + 3 for name, _, _ in files)
    database = lmdb.open(str(part), map_size=pages * _PAGE * 11 // 10 + (16 << 20))
    lines = []
    for start in range(0, len(files), _BATCH):
        with database.begin(write=True) as transaction:
            for (name, height, width), key in list(zip(files, keys, strict=True))[start : start + _BATCH]:
                transaction.put(key.encode(), _bytes(root / name))
                lines.append(f"{key}.png ({height},{width},3) 1\n")
        if progress:
            progress(len(lines), len(files))
    database.close()
    (part / "meta_info.txt").write_text("".join(lines), encoding="utf-8")
    shutil.rmtree(path, ignore_errors=True)
    part.replace(path)


def _is_key(text: str) -> bool:
    """Return whether BasicSR finds a key in its list again: it reads a line of UTF-8 up to the first dot."""
    return not any(char in ".\r\n" or "\ud800" <= char <= "\udfff" for char in text)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
