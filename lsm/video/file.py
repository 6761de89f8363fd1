"""Video files, through PyAV."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from lsm.errors import InputError
from lsm.image.io import printable
from lsm.video.colour import to_rgb
from lsm.video.inspection import decode, decoder_of, inspect, video_stream
from lsm.video.source import Frame


class VideoFile:
    """The first video stream of a file, a `Source`.

    The file is read and decoded once at the start, so that its times, its frames' sizes and its damage are known before
    the work. Frames are turned upright as the file asks, as images are.

    Args:
        path: Of any container and codec that FFmpeg reads.
        resize_to_first: Whether frames of another size than the first are resized to it; else they are an error.

    Raises:
        InputError: In one line, with the name, if it is no video, has no frames, is damaged or cut off, or changes its
            size.
    """

    def __init__(self, path: Path, resize_to_first: bool = False) -> None:
        self.path = path
        with _named(path), open_input(path) as container:
            self._inspection = inspect(path, container, resize_to_first)
        self.facts = self._inspection.facts

    def identity(self) -> dict[str, object]:
        """Return the file's size and time of change."""
        status = self.path.stat()
        return {"size": status.st_size, "changed": status.st_mtime_ns}

    def frames(self, first: int) -> Iterator[Frame]:
        """Decode; frames before `first` are decoded too, since not every file can be entered at any frame.

        Raises:
            InputError: If the file is no longer what it was.
        """
        facts, reformatter, number = self.facts, VideoReformatter(), 0
        with _named(self.path), open_input(self.path) as container:
            stream = video_stream(container)
            decoder = decoder_of(stream)
            for packet in container.demux(stream):
                for frame in decode(decoder, packet, number):
                    if number >= facts.frames:
                        raise InputError("has more frames than when it was opened; it changes while it is read.")
                    if number >= first:
                        size = self._inspection.stored_size
                        pixels = to_rgb(frame, facts.colours, reformatter, facts.deep, facts.alpha, size)
                        upright = self._inspection.orientation.apply(pixels)
                        yield Frame(upright, facts.times[number], facts.duration(number))
                    number += 1
            if number < facts.frames:
                raise InputError("has fewer frames than when it was opened; it changes while it is read.")


def open_input(path: Path) -> InputContainer:
    """Open a file for reading, as a file and nothing else: FFmpeg would take some names for addresses or lists."""
    if not path.is_file():
        raise InputError("no such file.")
    return av.open(f"file:{path}", options={"protocol_whitelist": "file"})


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name before errors, and FFmpeg's into words."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except FFmpegError as error:
        raise InputError(f"{printable(path)}: not a video, or cut off or damaged ({error.strerror}).") from error
