"""Downloads that survive bad lines: partial files are resumed, sizes and hashes checked, nothing half-done is named."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsm.data.catalog import Archive
from lsm.errors import InputError, OptionError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and all bytes if the server says."""

_BLOCK = 1 << 20
_OWN_FAULTS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EFBIG)
_BROKEN = (OSError, http.client.HTTPException)  # connections fail in both families; URLError is an OSError


@dataclass(frozen=True)
class Patience:
    """How long to go on trying.

    Attributes:
        attempts: Failures in a row, without one new byte, after which to give up.
        pause: Seconds before the second attempt; doubled for each further one, at most 60.
        timeout: Seconds without an answer that count as a failure.
    """

    attempts: int = 6
    pause: float = 2.0
    timeout: float = 60.0


def fetch(
    archive: Archive, folder: Path, progress: Progress | None = None, patience: Patience | None = None
) -> tuple[Path, str]:
    """Download a file, or what is missing of it.

    Args:
        archive: What to download.
        folder: Where to; made if missing. While the file is not whole it is called NAME.part.
        progress: Whom to tell how far it is.
        patience: How long to try.

    Returns:
        The whole file, and its SHA-256. A file that is there already is only checked.

    Raises:
        InputError: If the file cannot be had, there is no room for it, or it is not the one published.
        OptionError: If its address is not of HTTP.
    """
    if not archive.url.startswith(("http://", "https://")):
        raise OptionError(f"{archive.url} is no address that begins with http:// or https://.")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / archive.name
    if target.is_file():
        return target, check(target, archive)
    part = _Part(folder / f"{archive.name}.part", archive.url)
    _check_room(archive, folder, part.size)
    _complete(part, archive, progress or (lambda done, total: None), patience or Patience())
    try:
        sha256 = check(part.path, archive)
    except InputError as error:
        part.discard()
        raise InputError(f"{error} What was downloaded from {archive.url} has been deleted.") from error
    part.path.replace(target)
    part.discard()
    return target, sha256


def check(path: Path, archive: Archive) -> str:
    """Compare a file with what is published of it.

    Args:
        path: The file.
        archive: What is known of it.

    Returns:
        The file's SHA-256.

    Raises:
        InputError: If size or hash differ.
    """
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        raise InputError(f"{path} has {size:,} bytes; {archive.size:,} are published.")
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            md5.update(block)
    for name, digest, published in (("SHA-256", sha256, archive.sha256), ("MD5", md5, archive.md5)):
        if published is not None and digest.hexdigest() != published.lower():
            raise InputError(f"{path} is another file than the published one: {name} {digest.hexdigest()}.")
    return sha256.hexdigest()


class _Part:
    """The beginning of a file, with a note beside it of which version of the file it is the beginning of."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.json")
        self._url = url
        if path.exists() and not self.validator:
            self.discard()  # of an unknown version: its rest might not fit

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str | None:
        """What the server called the version of the file, its ETag or date."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return str(note["validator"]) if note["url"] == self._url and note["validator"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, validator: str | None) -> None:
        """Start anew with a version of the file."""
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": self._url, "validator": validator}), encoding="utf-8")

    def discard(self) -> None:
        """Delete the beginning and its note."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _complete(part: _Part, archive: Archive, progress: Progress, patience: Patience) -> None:
    """Ask for the rest of a file until it is whole."""
    failures, most = 0, part.size
    while True:
        try:
            total = _ask(part, archive, progress, patience.timeout)
            if part.size == total or total is None:
                return
            reason = f"the connection ended after {part.size:,} of {total:,} bytes"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 416, 429):
                raise InputError(f"{archive.url}: the server answers {error.code} {error.reason}.") from error
            if error.code == 416:  # what is there is no beginning of what the server has
                part.discard()
            reason = f"the server answers {error.code} {error.reason}"
        except _BROKEN as error:
            if getattr(error, "errno", None) in _OWN_FAULTS:  # trying again would not help
                raise InputError(f"{part.path}: cannot be written: {error}. The same command goes on.") from error
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        # Only what no attempt before had reached is progress: a server may end at the same byte for ever.
        failures, most = (1, part.size) if part.size > most else (failures + 1, most)
        if failures >= patience.attempts:
            kept = f" {part.size:,} bytes are kept; the same command goes on." if part.size else ""
            raise InputError(f"{archive.url}: cannot be downloaded: {reason}.{kept}")
        time.sleep(min(60.0, patience.pause * 2 ** (failures - 1)))


def _ask(part: _Part, archive: Archive, progress: Progress, timeout: float) -> int | None:
    """Ask once for what is missing, and append what comes; return the size of the whole file if the server says it."""
    start = part.size
    request = urllib.request.Request(archive.url, headers={"User-Agent": "lsm-sr", "Accept-Encoding": "identity"})
    if start and part.validator:
        # Should the file have changed meanwhile, If-Range has the server send the new one from its beginning.
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", part.validator)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        resumed = answer.status == 206 and _range(answer).get("start") == start
        if answer.status == 206 and not resumed:
            raise OSError("the server sends another part of the file than was asked for")
        if not resumed:
            start = 0
            part.begin(answer.headers.get("ETag") or answer.headers.get("Last-Modified"))
        length = answer.headers.get("Content-Length")
        total = _range(answer).get("total") if resumed else int(length) if length and length.isdigit() else None
        _append(part, answer, total, progress)
    return total


def _append(part: _Part, answer: Any, total: int | None, progress: Progress) -> None:
    """Write what comes; more than the whole file is no part of it."""
    done = part.size
    with part.path.open("ab") as file:
        # read1 hands over what has come: all of it is kept, should the connection break.
        while block := answer.read1(_BLOCK):
            file.write(block)
            done += len(block)
            progress(done, total)
            if total is not None and done > total:
                break
    if total is not None and done > total:
        part.discard()
        raise OSError(f"the server sends more than the {total:,} bytes it announces")


def _range(answer: Any) -> dict[str, int]:
    """Read `Content-Range: bytes START-END/TOTAL`."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range") or "")
    return {"start": int(match[1]), "total": int(match[2])} if match else {}


def _check_room(archive: Archive, folder: Path, present: int) -> None:
    free = shutil.disk_usage(folder).free
    if archive.size is not None and archive.size - present > free:
        raise InputError(f"{folder}: {archive.name} needs {archive.size - present:,} more bytes; {free:,} are free.")
