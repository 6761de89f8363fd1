"""The chunks of a WAV (RIFF and RF64): whether all samples are there, and what lies beside them.

libsndfile reads what it finds of a file that is cut off, takes a recorder's unfinished head at its word, and leaves out
the chunks of broadcast waves.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lsm.errors import InputError

_OWN = (b"fmt ", b"data", b"fact", b"PEAK", b"JUNK", b"PAD ", b"FLLR", b"ds64", b"junk")
"""Chunks that the result has of its own, or that fill space."""

_UNKNOWN = 0xFFFFFFF0  # programs that write to a pipe leave a size near 2³² − 1
_EXTENSIBLE = 0xFFFE


@dataclass(frozen=True)
class Chunk:
    """A part of the file.

    Attributes:
        name: Four letters.
        start: Offset of its content.
        size: Bytes of its content, as stated; in an RF64 that of the samples as `ds64` states it.
    """

    name: bytes
    start: int
    size: int


@dataclass(frozen=True)
class Wave:
    """What a WAV says of itself.

    Attributes:
        chunks: In the order of the file.
        unfinished: Whether samples follow a head that states none: a recorder crashed.
        channel_mask: Which loudspeakers its channels belong to; None if it does not say.
    """

    chunks: tuple[Chunk, ...]
    unfinished: bool
    channel_mask: int | None

    def carried(self) -> list[Chunk]:
        """Return the chunks that are worth keeping and that libsndfile does not keep (it does text in `LIST`)."""
        return [chunk for chunk in self.chunks if chunk.name not in (*_OWN, b"LIST")]


def read_wave(path: Path) -> Wave | None:
    """Read a WAV's chunks; None for any other file.

    Raises:
        InputError: If samples that its head promises, or a part of the head, are not there.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            return None
        chunks: list[Chunk] = []
        long_size = mask = None
        while len(start := file.read(8)) == 8:
            chunk = Chunk(start[:4], file.tell(), struct.unpack("<I", start[4:])[0])
            if chunk.name == b"ds64":
                (long_size,) = _fields(file, "<8xQ")
            elif chunk.name == b"fmt " and chunk.size >= 24:
                form, stated = _fields(file, "<H18xI")
                mask = stated if form == _EXTENSIBLE else None
            elif chunk.name == b"data":
                there = size - chunk.start
                unfinished = (
                    chunk.size == 0 and there > 0 and struct.unpack("<I", head[4:8])[0] in (0, 36, chunk.start - 8)
                )
                if unfinished or (chunk.size >= _UNKNOWN and long_size is None):
                    return Wave((*chunks, chunk), unfinished, mask)
                chunk = Chunk(chunk.name, chunk.start, chunk.size if long_size is None else long_size)
                if there < chunk.size:
                    raise InputError(f"{path} is truncated: it has {there} of {chunk.size} bytes of samples.")
            chunks.append(chunk)
            file.seek(chunk.start + chunk.size + chunk.size % 2)
    if not any(chunk.name == b"data" for chunk in chunks):
        raise InputError(f"{path} is truncated: a WAV without samples.")
    return Wave(tuple(chunks), False, mask)


def _fields(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    """Read numbers of a chunk by their `struct` layout."""
    content = file.read(struct.calcsize(layout))
    if len(content) < struct.calcsize(layout):
        raise InputError(f"{file.name} is truncated in its head.")
    return struct.unpack(layout, content)


class FinishedWave:
    """A WAV whose recorder crashed, as a file with the sizes that its head lacks.

    Args:
        path: The file.
        wave: Its chunks, the last one that of the samples.
    """

    def __init__(self, path: Path, wave: Wave) -> None:
        size = path.stat().st_size
        if size >= 2**32:
            raise InputError(
                f"{path} has an unfinished head, which cannot be told of more than 4 GiB; repair it first."
            )
        self._file = path.open("rb")
        data = wave.chunks[-1]
        self._patches = {4: struct.pack("<I", size - 8), data.start - 4: struct.pack("<I", size - data.start)}

    def read(self, count: int = -1) -> bytes:
        """Read bytes, with the head's sizes put in."""
        at = self._file.tell()
        found = bytearray(self._file.read(count))
        for place, patch in self._patches.items():
            for offset, byte in enumerate(patch):
                if 0 <= place + offset - at < len(found):
                    found[place + offset - at] = byte
        return bytes(found)

    def readinto(self, buffer: bytearray) -> int:
        """Read bytes into a buffer."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek to a byte."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def add_chunks(file: BinaryIO, source: Path, chunks: Sequence[Chunk], channel_mask: int | None) -> None:
    """Put chunks of another WAV at the end of a written one, and its channel mask into the head.

    Args:
        file: The written WAV, open for reading and writing.
        source: The file that has the chunks.
        chunks: Which.
        channel_mask: Of the source; none if it has none.
    """
    file.seek(0, 2)
    if not chunks and channel_mask is None:
        return
    if file.tell() % 2:
        file.write(b"\0")
    with source.open("rb") as opened:
        for chunk in chunks:
            opened.seek(chunk.start)
            content = opened.read(chunk.size)
            file.write(chunk.name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2))
    end = file.tell()
    file.seek(0)
    head = file.read(4096)
    file.seek(4)
    if head[:4] == b"RIFF":
        file.write(struct.pack("<I", min(end - 8, 2**32 - 1)))
    elif (at := head.find(b"ds64")) > 0:
        file.seek(at + 8)
        file.write(struct.pack("<Q", end - 8))
    form = head.find(b"fmt ", 12)
    if channel_mask is not None and form > 0 and head[form + 8 : form + 10] == struct.pack("<H", _EXTENSIBLE):
        file.seek(form + 8 + 20)
        file.write(struct.pack("<I", channel_mask))
    file.seek(0, 2)


def refuse_truncated_ogg(path: Path) -> None:
    """Raise InputError if an OGG does not end with the last page of a stream; libsndfile reads what is there."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return
        size = path.stat().st_size
        file.seek(max(0, size - 2 * 65307))  # a page has at most so many bytes
        rest = file.read()
    at = rest.rfind(b"OggS")
    page = rest[at:]
    whole = (
        len(page) >= 27 and len(page) >= 27 + page[26] and 27 + page[26] + sum(page[27 : 27 + page[26]]) <= len(page)
    )
    if at < 0 or not whole or not page[5] & 4:
        raise InputError(f"{path} is truncated: its last page is not the end of the stream.")


def refuse_truncated_aiff(path: Path) -> None:
    """Raise InputError if an AIFF is shorter than its head says; libsndfile reads what is there."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        there, size = path.stat().st_size - 8, struct.unpack(">I", head[4:8])[0]
        if there < size < _UNKNOWN:
            raise InputError(f"{path} is truncated: it has {there} of {size} bytes.")
