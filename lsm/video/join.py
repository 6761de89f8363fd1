"""Segments and the source's sound → one file."""

from __future__ import annotations

import contextlib
import heapq
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from lsm.errors import OptionError, unknown_name
from lsm.files import atomic_file
from lsm.image.io import printable
from lsm.video.encoding import Encoding, Shape, configure
from lsm.video.file import open_input
from lsm.video.segments import Numbers, read_numbers, read_packets
from lsm.video.source import Facts

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's names of the containers by the extensions of outputs."""


def container_of(target: Path) -> str:
    """Give the container that a name's extension asks for.

    Raises:
        OptionError: If it is none of `CONTAINERS`.
    """
    if target.suffix.lower() not in CONTAINERS:
        raise OptionError(unknown_name("video extension", target.suffix, CONTAINERS))
    return CONTAINERS[target.suffix.lower()]


def check_container(target: Path, encoding: Encoding, shape: Shape, facts: Facts) -> None:
    """Refuse what a container cannot hold, before the hours of work.

    Raises:
        OptionError: With what to choose instead.
    """
    with _opened(io.BytesIO(), target, encoding, shape, facts):
        pass


def join(files: Sequence[Path], target: Path, encoding: Encoding, shape: Shape, facts: Facts, replace: bool) -> None:
    """Write the video whole or not at all.

    Args:
        files: Of all segments, in order.
        target: The video; its extension says the container.
        encoding: As the segments were coded.
        shape: As the segments were coded.
        facts: Of the source, whose sound is copied packet by packet.
        replace: Whether a file of that name may be replaced.
    """
    numbers = [read_numbers(file) for file in files]
    with (
        atomic_file(target, replace) as file,
        _opened(file, target, encoding, shape, facts) as (output, video, sound),
        contextlib.ExitStack() as stack,
    ):
        tracks = [_video_packets(files, numbers, video, facts)]
        if facts.audio is not None:
            tracks.append(_sound_packets(facts.audio, sound, stack))
        for packet in heapq.merge(*tracks, key=lambda packet: (packet.dts or 0) * packet.time_base):
            output.mux_one(packet)


@contextlib.contextmanager
def _opened(
    file: BinaryIO, target: Path, encoding: Encoding, shape: Shape, facts: Facts
) -> Iterator[tuple[OutputContainer, VideoStream, list[AudioStream]]]:
    """Open an output with its streams, and write its head."""
    name = container_of(target)
    with contextlib.ExitStack() as stack:
        try:
            output = stack.enter_context(av.open(file, "w", format=name))
            output.metadata.update(facts.metadata)
            video = output.add_stream(encoding.codec, rate=facts.rate)
            assert isinstance(video, VideoStream)
            configure(video.codec_context, encoding, shape, facts)
            video.time_base = facts.time_base
            if encoding.codec == "libx265" and name in ("mp4", "mov"):
                video.codec_tag = "hvc1"  # the other tag is not played by Apple's programs
        except ValueError as error:
            raise OptionError(f"{printable(target)}: {error}; use another --codec, or the extension .mkv.") from error
        try:
            sound = _add_sound(output, facts.audio, stack)
            output.start_encoding()
        except ValueError as error:
            raise OptionError(
                f"{printable(target)}: the sound cannot be copied, {error}; use the extension .mkv, or --audio drop."
            ) from error
        except av.error.FFmpegError as error:
            raise OptionError(
                f"{printable(target)}: {name} cannot hold these streams ({error.strerror}); use the extension .mkv."
            ) from error
        yield output, video, sound


def _add_sound(output: OutputContainer, audio: Path | None, stack: contextlib.ExitStack) -> list[AudioStream]:
    """Add a stream for each stream of sound, with its language and disposition."""
    if audio is None:
        return []
    sound = []
    for stream in stack.enter_context(open_input(audio)).streams.audio:
        copy = output.add_stream_from_template(stream)
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        sound.append(copy)
    return sound


def _video_packets(
    files: Sequence[Path], numbers: Sequence[Numbers], stream: VideoStream, facts: Facts
) -> Iterator[Packet]:
    """Give all packets with their times of decoding.

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


def _sound_packets(audio: Path, streams: Sequence[AudioStream], stack: contextlib.ExitStack) -> Iterator[Packet]:
    """Copy the packets of a file's sound."""
    container = stack.enter_context(open_input(audio))
    places = {stream.index: copy for stream, copy in zip(container.streams.audio, streams, strict=True)}
    for packet in container.demux(*container.streams.audio):
        if packet.size and packet.dts is not None:
            packet.stream = places[packet.stream_index]
            yield packet
