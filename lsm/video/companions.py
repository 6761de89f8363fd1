"""What lies beside the frames of a video: what another container can hold of it, and its packets at new times."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Stream

from lsm.errors import OptionError, unknown_name
from lsm.image.io import printable
from lsm.video.containers import CONTAINERS, container_of
from lsm.video.file import open_input
from lsm.video.inspection import kept_tags
from lsm.video.source import Companion, Companions

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container.core import Chapter

AUDIO = {"copy": None, "aac": "aac", "opus": "libopus", "flac": "flac", "drop": None}
"""What can become of audio, and the encoders that do it."""

_KBITS = {"aac": 96, "libopus": 64}  # a channel
_RATES = {"libopus": (48000,), "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)}


@dataclass(frozen=True)
class Kept:
    """What of a video's companions goes into the larger one.

    Attributes:
        source: All that there is.
        streams: Those that are copied, or encoded anew.
        encoder: Of audio; none to copy it.
        chapters: Whether chapters are copied.
        lost: What is not kept, a line each.
    """

    source: Companions | None = None
    streams: tuple[Companion, ...] = ()
    encoder: str | None = None
    chapters: bool = False
    lost: tuple[str, ...] = ()

    @property
    def crowded(self) -> bool:
        """Whether there are further images; FFmpeg then writes no timecode into MP4 and MOV."""
        return any(one.kind in ("video", "cover") for one in self.streams)


def plan_companions(target: Path, source: Companions | None, audio: str) -> Kept:
    """Choose what the target's container can hold.

    Args:
        target: The larger video.
        source: What there is.
        audio: A name of `AUDIO`.

    Raises:
        OptionError: If audio cannot be copied into this container, with what to do about it; or `audio` is unknown.
    """
    if audio not in AUDIO:
        raise OptionError(unknown_name("way with audio", audio, AUDIO))
    if source is None:
        return Kept()
    name, streams, lost = container_of(target), [], []
    with open_input(source.path) as container:
        for one in source.streams:
            if one.kind == "audio" and audio == "drop":
                continue
            encoder = AUDIO[audio] if one.kind == "audio" else None
            if can_hold(name, container.streams[one.index], one.kind, encoder):
                streams.append(one)
            elif one.kind == "audio":
                raise OptionError(_audio_advice(target, container.streams[one.index], one, audio))
            elif one.kind != "timecode":  # the tag of the video's stream keeps it
                others = _holding(container.streams[one.index], one.kind)
                hint = f" ({' and '.join(others)} can)" if others else ""
                lost.append(f"stream {one.index}, {one.kind} ({one.codec}), is lost: {name} cannot hold it{hint}.")
    return Kept(source, tuple(streams), AUDIO[audio], source.chapters > 0, tuple(lost))


def can_hold(container: str, stream: Stream, kind: str, encoder: str | None = None) -> bool:
    """Try whether a container takes a stream.

    Args:
        container: FFmpeg's name.
        stream: Of a file that is open.
        kind: See `Companion`.
        encoder: How the stream would be encoded; none to copy it.
    """
    if kind == "attachment":
        return container == "matroska"
    if kind == "timecode":
        return False
    if kind == "cover":
        return container in ("mp4", "matroska")
    try:
        with av.open(io.BytesIO(), "w", format=container) as output:
            _add(output, stream, encoder)
            output.start_encoding()
    except (ValueError, FFmpegError):
        return False
    return True


def add_companions(output: OutputContainer, kept: Kept, stack: contextlib.ExitStack) -> list[Iterator[Packet]]:
    """Add the streams to an output.

    Args:
        output: Before its head is written.
        kept: What goes into it.
        stack: Closes the files that are read.

    Returns:
        The packets of each stream, to be taken once the head is written; their times increase.
    """
    if kept.source is None:
        return []
    path, tracks = kept.source.path, []
    reader = stack.enter_context(open_input(path))
    if kept.chapters:
        output.set_chapters(_chapters(reader.chapters(), kept.source))
    for one in kept.streams:
        stream = reader.streams[one.index]
        if isinstance(stream, AttachmentStream):
            output.add_attachment(stream.name or f"attachment-{one.index}", stream.mimetype or "", stream.data)
        elif one.kind == "cover" and output.format.name == "matroska":  # where a cover is an attachment
            kind = {"mjpeg": "jpeg"}.get(one.codec, one.codec)
            picture = b"".join(bytes(packet) for packet in stack.enter_context(open_input(path)).demux(stream))
            output.add_attachment(f"cover.{kind.replace('jpeg', 'jpg')}", f"image/{kind}", picture)
        else:
            encoder = kept.encoder if one.kind == "audio" else None
            made = _add(output, stream, encoder)
            own = stack.enter_context(open_input(path))  # read on its own: streams may lie far apart in the file
            packets = _moved(own.demux(own.streams[one.index]), one)
            if encoder is not None:
                assert isinstance(made, AudioStream)
                tracks.append(_encoded(packets, made))
            else:
                tracks.append(_assigned(packets, made))
    return tracks


def _add(output: OutputContainer, stream: Stream, encoder: str | None) -> Stream:
    """Add a copy of a stream, or one that an encoder fills, with its tags and disposition."""
    if encoder is None:
        made: Stream = output.add_stream_from_template(stream)
    else:
        assert isinstance(stream, AudioStream)
        rates = _RATES.get(encoder, (stream.rate,))
        rate = next((one for one in rates if one >= stream.rate), rates[-1])
        audio = output.add_stream(encoder, rate=rate, layout=_layout(stream))
        assert isinstance(audio, AudioStream)
        if encoder in _KBITS:
            audio.bit_rate = 1000 * _KBITS[encoder] * audio.layout.nb_channels
        made = audio
    # The frames' own stream has the timecode; for a copied one MP4 refuses to write it.
    made.metadata.update({name: text for name, text in kept_tags(stream.metadata).items() if name != "timecode"})
    made.disposition = stream.disposition
    return made


def _layout(stream: AudioStream) -> str:
    """Return the channel layout to encode: the stream's own, or the usual one of as many channels."""
    usual = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return usual.get(stream.layout.nb_channels, stream.layout.name)


def _moved(packets: Iterator[Packet], one: Companion) -> Iterator[Packet]:
    """Move packets to their new times; leave out those without one."""
    number = 0
    for packet in packets:
        if not packet.size:
            continue
        shift = one.shifts[number] if number < len(one.shifts) else None
        number += 1
        if one.kind == "cover":
            packet.pts = packet.dts = 0
        elif shift is None:
            continue
        else:
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = packet.pts if packet.dts is None else packet.dts + shift
        yield packet


def _assigned(packets: Iterator[Packet], stream: Stream) -> Iterator[Packet]:
    for packet in packets:
        packet.stream = stream
        yield packet


def _encoded(packets: Iterator[Packet], stream: AudioStream) -> Iterator[Packet]:
    """Decode audio and encode it anew; what cannot be decoded is left out, as players do."""
    last = -(2**62)
    for packet in packets:
        with contextlib.suppress(FFmpegError):
            for frame in cast("list[AudioFrame]", packet.decode()):
                frame.pts = None if frame.pts is None else max(frame.pts, last + 1)
                last = last if frame.pts is None else frame.pts
                yield from stream.encode(frame)
    yield from stream.encode(None)


def _chapters(chapters: Sequence[Chapter], source: Companions) -> list[Chapter]:
    """Move chapters to where the video now begins."""
    moved: list[Chapter] = []
    for chapter in chapters:
        base = chapter["time_base"]
        shift = round(source.start / base) if base else 0
        new = chapter.copy()
        new["start"], new["end"] = max(0, chapter["start"] - shift), max(0, chapter["end"] - shift)
        moved.append(new)
    return moved


def _holding(stream: Stream, kind: str) -> list[str]:
    """Return the extensions whose containers can hold a stream."""
    return [ending for ending, name in CONTAINERS.items() if ending != ".m4v" and can_hold(name, stream, kind)]


def _audio_advice(target: Path, stream: Stream, one: Companion, audio: str) -> str:
    """Return what works for audio that a container cannot hold."""
    name = container_of(target)
    encoders = [way for way, encoder in AUDIO.items() if encoder and can_hold(name, stream, "audio", encoder)]
    instead = f"encode it anew (audio {' or '.join(encoders)})"
    if audio == "copy" and (others := _holding(stream, "audio")):
        instead += f", use the extension {' or '.join(others)}"
    verb = "copied into" if audio == "copy" else f"written as {audio} into"
    what = f"{printable(target)}: the audio ({one.codec}) cannot be {verb} {name}"
    return f"{what}; {instead}, or leave it out (audio drop)."
