"""The first pass over a video file: it is decoded once, so that all is known before the hours of work."""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lsm.errors import InputError
from lsm.image.io import printable
from lsm.video.colour import stated_colours
from lsm.video.geometry import Orientation, orientation_of
from lsm.video.light import read_light
from lsm.video.source import Companion, Companions, Facts
from lsm.video.times import MPEG_WRAP, Stamp, Track, presentation_times

if TYPE_CHECKING:
    from collections.abc import Iterable


log = logging.getLogger(__name__)

_STATING_LENGTH = ("mov", "matroska", "avi", "flv")  # of other containers it is only guessed
_RESTARTING = ("mpegts", "mpeg")  # their clocks wrap, and may start anew anywhere
_LONGEST_GAP = Fraction(10)  # seconds, FFmpeg's own limit for these
_SLACK = 0.5  # seconds by which the last frame or audio may end before what the file's head announces
_UNKEPT = {
    "A53_CC": "closed captions",
    "DYNAMIC_HDR_PLUS": "dynamic HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "dynamic HDR metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "SPHERICAL": "the spherical projection",
    "STEREO3D": "the arrangement of stereoscopic views",
    "ICC_PROFILE": "the colour profile",
    "GOP_TIMECODE": "the timecode of groups of pictures",
    "S12M_TIMECODE": "the timecode of frames",
}
"""Side data of frames that PyAV gives no way to write."""
_TECHNICAL = ("encoder", "duration", "major_brand", "minor_version", "compatible_brands", "rotate", "alpha_mode")


@dataclass(frozen=True)
class Inspection:
    """What the first pass found.

    Attributes:
        facts: Of the upright video.
        stored_size: Height and width of its first frame as stored.
        orientation: What makes frames upright.
    """

    facts: Facts
    stored_size: tuple[int, int]
    orientation: Orientation


@dataclass
class _Reading:
    """What adds up while a file is read."""

    packets: dict[int, list[Stamp]] = field(default_factory=lambda: defaultdict(list))
    damaged: list[int] = field(default_factory=list)  # numbers of the video's packets
    frames: list[Stamp] = field(default_factory=list)
    concealed: list[int] = field(default_factory=list)  # numbers of frames
    first: VideoFrame | None = None
    resized: tuple[int, int, int] | None = None  # the first frame of another size: number, width, height
    side_data: set[str] = field(default_factory=set)
    transparent: bool = False
    end: float = 0.0  # seconds


def inspect(path: Path, container: InputContainer, resize_to_first: bool) -> Inspection:
    """Read a file to its end and decode its video.

    Args:
        path: Its name.
        container: The file, freshly opened.
        resize_to_first: Whether frames may change their size in mid-stream.

    Raises:
        InputError: If it is no video, has no frames, is cut off or damaged, or frames change their size.
    """
    stream = video_stream(container)
    reading = _read(container, stream)
    first = reading.first
    _refuse_cut_off(container, stream, reading)
    if first is None:
        raise InputError("holds no frames.")
    if reading.resized and not resize_to_first:
        number, width, height = reading.resized
        raise InputError(
            f"changes its size at frame {number}, from {first.width}×{first.height} to {width}×{height}; resize all "
            f"frames to the first (resize_to_first), or cut the file there."
        )
    matrix = first.side_data.get("DISPLAYMATRIX")
    orientation = orientation_of(None if matrix is None else bytes(cast("Any", matrix)))
    height, width = orientation.size(first.height, first.width)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    time_base = stream.time_base or Fraction(1, 1000)
    times, companions = _timed(path, container, stream, reading, max(1, round(1 / (rate * time_base))))
    _tell_damage(path, reading, stream.index, times, time_base)
    if first.interlaced_frame:
        log.warning("%s is interlaced; its frames are upscaled with both fields in them.", printable(path))
    facts = Facts(
        width,
        height,
        time_base,
        rate,
        times,
        stated_colours(stream.codec_context),
        first.format.components[0].bits > 8,
        reading.transparent,
        orientation.aspect(stream.sample_aspect_ratio or Fraction(1)),
        read_light(first),
        tuple(dict.fromkeys(words for name, words in _UNKEPT.items() if name in reading.side_data)),
        companions,
        kept_tags(container.metadata),
        kept_tags(stream.metadata),
        reading.frames[-1].duration,
        bool(stream.codec_context.codec.lossy),
    )
    return Inspection(facts, (first.height, first.width), orientation)


def video_stream(container: InputContainer) -> VideoStream:
    """Return the first stream of moving images; the cover of a song is none.

    Raises:
        InputError: If there is none.
    """
    name = container.format.name
    if name.endswith("_pipe") or name.startswith("image2"):
        raise InputError("is an image, which `lsm upscale` takes; a folder of images with a rate becomes a video.")
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise InputError("holds no video stream.")


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """Return what decodes a stream: its own decoder, unless that would overlook VP8's and VP9's transparency."""
    other = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name)
    if other and {name.lower(): text for name, text in stream.metadata.items()}.get("alpha_mode") == "1":
        context = CodecContext.create(other, "r")
        assert isinstance(context, VideoCodecContext)
        return context
    stream.thread_type = "AUTO"
    return stream.codec_context


def decode(decoder: VideoCodecContext, packet: Packet, number: int) -> list[VideoFrame]:
    """Decode a packet.

    Args:
        decoder: Of `decoder_of`.
        packet: The next one; an empty one at the end.
        number: Frames before it, for the error.

    Raises:
        InputError: If the decoder gives up.
    """
    try:
        return decoder.decode(packet if packet.size else None)
    except FFmpegError as error:
        raise InputError(
            f"damaged after frame {number} ({error.strerror}); repair it first, for instance by "
            f"ffmpeg -i IN -c:v ffv1 OUT.mkv."
        ) from error


def kept_tags(metadata: dict[str, str]) -> dict[str, str]:
    """Return the tags that are still true of another file."""
    return {
        name: text
        for name, text in metadata.items()
        if name.lower() not in _TECHNICAL and not name.startswith("_STATISTICS")
    }


def _read(container: InputContainer, stream: VideoStream) -> _Reading:
    """Demux a file to its end, and decode its video."""
    reading, decoder = _Reading(), decoder_of(stream)
    for packet in container.demux():
        if packet.size:
            if packet.stream_index == stream.index and packet.is_corrupt:
                reading.damaged.append(len(reading.packets[stream.index]))
            reading.packets[packet.stream_index].append(Stamp(packet.pts, packet.dts, packet.duration or 0))
            if packet.pts is not None and packet.time_base:
                reading.end = max(reading.end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index == stream.index:  # an empty one, at the end, knows no index itself
            for frame in decode(decoder, packet, len(reading.frames)):
                _note(reading, frame)
    return reading


def _note(reading: _Reading, frame: VideoFrame) -> None:
    """Note what is to be known of a decoded frame."""
    reading.first = reading.first or frame
    number, first = len(reading.frames), reading.first
    if (frame.width, frame.height) != (first.width, first.height) and reading.resized is None:
        reading.resized = number, frame.width, frame.height
    if frame.is_corrupt:
        reading.concealed.append(number)
    # A mapping by its type, whose iteration gives the data in PyAV 18, and the types from 19 on.
    entries = cast("Iterable[Any]", frame.side_data)
    reading.side_data.update(getattr(entry, "type", entry).name for entry in entries)
    if not reading.transparent and any(component.is_alpha for component in frame.format.components):
        reading.transparent = bool(frame.reformat(format="rgba").to_ndarray()[..., 3].min() < 255)
    reading.frames.append(Stamp(frame.pts, frame.dts, frame.duration or 0))


def _refuse_cut_off(container: InputContainer, stream: VideoStream, reading: _Reading) -> None:
    """Raise InputError if the file ends before what its head announces."""
    count = len(reading.packets[stream.index])
    start = (container.start_time or 0) / av.time_base
    stated = container.format.name.split(",")[0] in _STATING_LENGTH and container.duration
    announced = start + container.duration / av.time_base if stated else 0.0
    if count and (stream.frames > count or reading.end < announced - _SLACK):
        raise InputError(
            f"is cut off: {count} frames, {reading.end:.1f} s of {announced:.1f} s are there. If they are all there "
            f"will be, copy them to a whole file first (ffmpeg -i IN -c copy OUT)."
        )


def _timed(
    path: Path, container: InputContainer, stream: VideoStream, reading: _Reading, step: int
) -> tuple[list[int], Companions]:
    """Return when frames are shown, and all other streams with what makes their times fit."""
    packets = reading.packets[stream.index]
    stamps = reading.frames
    if len(packets) == len(stamps):  # what the decoder gives as dts lags behind with several threads
        stamps = [frame._replace(dts=packet.dts) for frame, packet in zip(stamps, packets, strict=True)]
    tracks = [Track(stamps, stream.time_base or Fraction(1, 1000), step)]
    others: list[tuple[Stream, str]] = []
    for other in container.streams:
        if other.index == stream.index or other.discard == Discard.all:  # such as the text of an MP4's chapters
            continue
        others.append((other, _kind(other)))
        tracks.append(_track(other, reading.packets[other.index]))
    restarting = container.format.name in _RESTARTING
    made = presentation_times(tracks, MPEG_WRAP if restarting else None, _LONGEST_GAP if restarting else None)
    companions = []
    for (other, kind), track, times in zip(others, tracks[1:], made[1:], strict=True):
        shifts = [
            None if time is None or one.pts is None else time - one.pts
            for time, one in zip(times, track.stamps, strict=True)
        ]
        companions.append(Companion(other.index, kind, _codec_name(other), shifts))
    shown = [time for time in made[0] if time is not None]
    start = ((stamps[0].pts if stamps and stamps[0].pts is not None else 0) - (shown[0] if shown else 0)) * (
        tracks[0].time_base
    )
    return shown, Companions(path, tuple(companions), start, len(container.chapters()))


def _track(stream: Stream, stamps: list[Stamp]) -> Track:
    """Return the stamps of packets to be copied: by their time of decoding, which is the one that increases."""
    fed = [Stamp(one.pts if one.dts is None else one.dts, None, one.duration) for one in stamps]
    durations = [one.duration for one in stamps if one.duration]
    time_base = stream.time_base or Fraction(1, 1000)
    begin = stream.start_time
    if stream.type == "video":  # frames that are shown before others that were coded before them
        begin = min((one.pts for one in stamps[:32] if one.pts is not None), default=None)
    first = fed[0].pts if fed else None
    lead_in = 0 if begin is None or first is None else begin - first
    lead_in = lead_in if 0 <= lead_in * time_base < 1 and stream.type in ("audio", "video") else 0
    sparse = stream.type not in ("audio", "video") or bool(stream.disposition & Disposition.attached_pic)
    # A cover, or a subtitle without any time, belongs to no moment: it must not decide where zero is.
    timed = fed if any(one.pts is not None for one in fed) else []
    return Track(timed, time_base, round(median(durations)) if durations else 1, lead_in, sparse)


def _kind(stream: Stream) -> str:
    if stream.type == "video" and stream.disposition & Disposition.attached_pic:
        return "cover"
    if stream.type == "data" and "timecode" in stream.metadata:
        return "timecode"
    return stream.type


def _codec_name(stream: Stream) -> str:
    context = getattr(stream, "codec_context", None)
    return context.name if context is not None else "unknown"


def _tell_damage(path: Path, reading: _Reading, index: int, times: list[int], time_base: Fraction) -> None:
    """Log one line about damage that decoding gets over: hidden errors, and frames that are not there."""
    packets = reading.packets[index]
    damaged = [number for number in reading.damaged if not _starts_anew(packets, number, time_base)]
    if not damaged and not reading.concealed:
        return
    usual = median(b - a for a, b in itertools.pairwise(times)) if len(times) > 1 else 1
    missing = sum(max(0, round((b - a) / usual) - 1) for a, b in itertools.pairwise(times))
    near = reading.concealed[0] if reading.concealed else min(damaged[0], len(times) - 1)
    log.warning(
        "%s is damaged, and taken as it is: %d packets with errors, %d frames patched up, %d frames missing, the first "
        "near %.2f s.",
        printable(path), len(damaged), len(reading.concealed), missing, float(times[near] * time_base),
    )  # fmt: skip


def _starts_anew(packets: list[Stamp], number: int, time_base: Fraction) -> bool:
    """Return whether the clock starts anew just after a packet: its error is the join, not damage."""
    near = [one.dts for one in packets[number : number + 4] if one.dts is not None]
    return any(not 0 <= (b - a) * time_base <= _LONGEST_GAP for a, b in itertools.pairwise(near))
