"""Segments and what lies beside the frames → one file; and the same without frames, before the work."""

from __future__ import annotations

import contextlib
import heapq
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lsm.errors import OptionError, one_line
from lsm.files import atomic_file
from lsm.image.io import printable
from lsm.video.companions import Kept, add_companions
from lsm.video.containers import container_of
from lsm.video.encoding import Encoding, Shape, configure, keeps_alpha, open_encoder
from lsm.video.segments import Numbers, read_numbers, read_packets
from lsm.video.source import Facts


@dataclass(frozen=True)
class Joined:
    """The video to be.

    Attributes:
        target: Its file; the extension says the container.
        encoding: How its frames are coded.
        shape: Of its frames.
        facts: Of the source.
        kept: What goes into it beside the frames.
    """

    target: Path
    encoding: Encoding
    shape: Shape
    facts: Facts
    kept: Kept

    @property
    def loses_timecode(self) -> bool:
        """Whether the source has a timecode that this container cannot hold beside further images."""
        crowded = self.kept.crowded and container_of(self.target) in ("mp4", "mov")
        return crowded and "timecode" in {**self.facts.metadata, **self.facts.stream_metadata}


def rehearse(joined: Joined) -> None:
    """Write the whole video to nowhere, with one grey frame at all times: what cannot be written is known now.

    Raises:
        OptionError: If the encoder does not take the frames, or the container the streams; with what to choose instead.
    """
    facts = joined.facts
    encoder = open_encoder(joined.encoding, joined.shape, facts)
    frame = VideoFrame(joined.shape.width, joined.shape.height, joined.shape.pixel_format)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts, frame.time_base = 0, facts.time_base
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])

    def packets(stream: VideoStream) -> Iterator[Packet]:
        for number, time in enumerate(facts.times):
            packet = Packet(data)
            packet.pts = packet.dts = time
            packet.duration, packet.time_base, packet.stream = facts.duration(number), facts.time_base, stream
            packet.is_keyframe = True
            yield packet

    try:
        with _opened(_Nowhere(), joined) as (output, video, tracks):
            _mux(output, [packets(video), *tracks])
    except (ValueError, av.error.FFmpegError) as error:
        raise OptionError(
            f"{printable(joined.target)}: {container_of(joined.target)} cannot hold these streams ({one_line(error)}); "
            f"use the extension .mkv, or encode the audio anew (audio aac, opus or flac)."
        ) from error


def join(files: Sequence[Path], joined: Joined, replace: bool) -> None:
    """Write the video whole or not at all.

    Args:
        files: Of all segments, in order.
        joined: What it holds.
        replace: Whether a file of that name may be replaced.
    """
    numbers = [read_numbers(file) for file in files]
    with atomic_file(joined.target, replace) as file, _opened(file, joined) as (output, video, tracks):
        _mux(output, [_video_packets(files, numbers, video, joined.facts), *tracks])


def _mux(output: OutputContainer, tracks: Sequence[Iterator[Packet]]) -> None:
    """Write packets in the order of their times of decoding."""
    for packet in heapq.merge(*tracks, key=lambda packet: (packet.dts or 0) * packet.time_base):
        output.mux_one(packet)


@contextlib.contextmanager
def _opened(
    file: BinaryIO | io.RawIOBase, joined: Joined
) -> Iterator[tuple[OutputContainer, VideoStream, list[Iterator[Packet]]]]:
    """Open an output with its streams, and write its head."""
    target, encoding, shape, facts = joined.target, joined.encoding, joined.shape, joined.facts
    name = container_of(target)
    with contextlib.ExitStack() as stack:
        try:
            output = stack.enter_context(av.open(file, "w", format=name))
            output.metadata.update(facts.metadata)
            video = output.add_stream(encoding.codec, rate=facts.rate)
            assert isinstance(video, VideoStream)
            configure(video.codec_context, encoding, shape, facts)
            video.time_base = facts.time_base
            video.metadata.update(facts.stream_metadata)
            if joined.loses_timecode:
                for tags in (output.metadata, video.metadata):
                    tags.pop("timecode", None)
            if keeps_alpha(shape.pixel_format) and encoding.codec == "libvpx-vp9":
                video.metadata["alpha_mode"] = "1"
            if encoding.codec == "libx265" and name in ("mp4", "mov"):
                video.codec_tag = "hvc1"  # the other tag is not played by Apple's programs
            tracks = add_companions(output, joined.kept, stack)
            output.start_encoding()
        except ValueError as error:
            raise OptionError(f"{printable(target)}: {error}; use another codec, or the extension .mkv.") from error
        except av.error.FFmpegError as error:
            raise OptionError(
                f"{printable(target)}: {name} cannot hold these streams ({error.strerror}); use the extension .mkv."
            ) from error
        yield output, video, tracks


def _video_packets(
    files: Sequence[Path], numbers: Sequence[Numbers], stream: VideoStream, facts: Facts
) -> Iterator[Packet]:
    """Yield all packets with their times of decoding.

    A packet is decoded at the time at which the one `delay` places before it, in the order of showing, is shown: times
    that increase, and come early enough for every frame that is shown before it was coded.
    """
    pts = np.concatenate([number.pts for number in numbers])
    shown = np.sort(pts)
    delay = int(np.max(np.arange(len(pts)) - np.searchsorted(shown, pts)))
    dts = np.concatenate([shown[0] - facts.step * np.arange(delay, 0, -1), shown])
    count = 0
    for file in files:
        for packet in read_packets(file):
            packet.dts, packet.time_base, packet.stream = int(dts[count]), facts.time_base, stream
            count += 1
            yield packet


class _Nowhere(io.RawIOBase):
    """A file that only counts."""

    def __init__(self) -> None:
        self._at = self._end = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._at += len(data)
        self._end = max(self._at, self._end)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        return self._at
