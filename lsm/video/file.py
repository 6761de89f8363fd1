"""Video files, through PyAV."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from lsm.errors import InputError
from lsm.image.io import printable
from lsm.video.colour import stated_colours, to_rgb
from lsm.video.source import Facts, Frame

log = logging.getLogger(__name__)

_STATING_LENGTH = ("mov", "matroska", "avi", "flv")  # of other containers it is only guessed
_SLACK = 0.5  # seconds by which the last frame or sound may end before what the file's head announces


class VideoFile:
    """The first video stream of a file, a `Source`.

    Frames are turned upright as the file asks, as images are. Sound belongs to them if the file has any.

    Args:
        path: Of any container and codec that FFmpeg reads.

    Raises:
        InputError: In one line, with the name, if it is no video, has no frames, or is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _named(path), open_input(path) as whole, open_input(path) as container:
            count = _count_frames(whole, video_stream(whole))
            stream = video_stream(container)
            first = next(iter(container.decode(stream)), None)
            if first is None:
                raise InputError("holds no frames.")
            self._turns = round(first.rotation / 90) % 4
            self._stored_size = first.height, first.width
            height, width = self._stored_size if self._turns % 2 == 0 else self._stored_size[::-1]
            aspect = stream.sample_aspect_ratio or Fraction(1)
            self.facts = Facts(
                width,
                height,
                stream.time_base or Fraction(1, 1000),
                stream.average_rate or stream.guessed_rate or Fraction(25),
                count,
                stated_colours(stream.codec_context),
                first.format.components[0].bits > 8,
                1 / aspect if self._turns % 2 else aspect,
                path if container.streams.audio else None,
                {name: text for name, text in container.metadata.items() if name in ("title", "artist", "comment")},
            )
            if first.interlaced_frame:
                log.warning("%s is interlaced; its frames are upscaled with both fields in them.", printable(path))

    def identity(self) -> dict[str, object]:
        """Give the file's size and time of change."""
        status = self.path.stat()
        return {"size": status.st_size, "changed": status.st_mtime_ns}

    def frames(self, first: int) -> Iterator[Frame]:
        """Decode; frames before `first` are decoded too, since not every file can be entered at any frame.

        Raises:
            InputError: If a frame is damaged, or of another size than those before.
        """
        reformatter, last, step = VideoReformatter(), -(2**62), self.facts.step
        with open_input(self.path) as container:
            for number, frame in enumerate(self._decoded(container)):
                if (frame.height, frame.width) != self._stored_size:
                    raise InputError(f"{printable(self.path)}: changes its size at frame {number}.")
                # Encoders refuse times that do not increase, which damaged and badly cut files have.
                pts = frame.pts if frame.pts is not None else last + step if number else 0
                last = max(pts, last + 1)
                if number >= first:
                    pixels = np.rot90(to_rgb(frame, self.facts.colours, reformatter), self._turns)
                    yield Frame(np.ascontiguousarray(pixels), last, frame.duration or step)

    def _decoded(self, container: InputContainer) -> Iterator[VideoFrame]:
        stream = video_stream(container)
        stream.thread_type = "AUTO"
        frames, number = container.decode(stream), 0
        while True:
            try:
                frame = next(frames, None)
            except FFmpegError as error:
                raise InputError(
                    f"{printable(self.path)}: damaged after frame {number} ({error.strerror}); repair it first, for "
                    f"instance by ffmpeg -i IN -c:v ffv1 OUT.mkv."
                ) from error
            if frame is None:
                return
            if frame.is_corrupt:
                log.warning("%s: frame %d is damaged, and taken as it is.", printable(self.path), number)
            yield frame
            number += 1


def open_input(path: Path) -> InputContainer:
    """Open a file for reading, as a file and nothing else: FFmpeg would take some names for addresses or lists."""
    if not path.is_file():
        raise InputError("no such file.")
    return av.open(f"file:{path}", options={"protocol_whitelist": "file"})


def video_stream(container: InputContainer) -> VideoStream:
    """Give the first stream of moving images; the cover of a song is none.

    Raises:
        InputError: If there is none.
    """
    name = container.format.name
    if name.endswith("_pipe") or name.startswith("image2"):
        raise InputError("is an image; `lsm upscale` takes it, and --fps makes a video of a folder of images.")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise InputError("holds no video stream.")


def _count_frames(container: InputContainer, stream: VideoStream) -> int:
    """Count the packets of a stream, reading the file to its end without decoding it.

    Raises:
        InputError: If the file ends before what its head announces.
    """
    count, end = 0, 0.0
    for packet in container.demux():
        if packet.size == 0:
            continue
        count += packet.stream_index == stream.index
        if packet.pts is not None and packet.time_base:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    start = (container.start_time or 0) / av.time_base
    stated = container.format.name.split(",")[0] in _STATING_LENGTH and container.duration
    announced = start + container.duration / av.time_base if stated else 0.0
    if count and (stream.frames > count or end < announced - _SLACK):
        raise InputError(
            f"is cut off: {count} frames, {end:.1f} s of {announced:.1f} s are there. If they are all there will be, "
            f"copy them to a whole file first (ffmpeg -i IN -c copy OUT)."
        )
    return count


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name before errors, and FFmpeg's into words."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from error
    except FFmpegError as error:
        raise InputError(f"{printable(path)}: not a video, or cut off or damaged ({error.strerror}).") from error
