"""The coded frames of an unfinished video, some at a time in a file, so that a run can go on where one was stopped.

A segment is coded by itself and begins with a key frame: the joined video does not depend on where runs were stopped.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lsm.errors import CheckpointError, OptionError
from lsm.files import atomic_file, only_process
from lsm.image.io import printable
from lsm.video.colour import from_rgb
from lsm.video.encoding import Encoding, Shape, keeps_alpha, open_encoder
from lsm.video.source import Facts, Frame

_PLAN, _ENDING = "plan.json", ".safetensors"
_WRAPPING = "matroska"
_BESIDE: Final = "matroska_block_additional"
_NUMBERS = ("pts", "duration", "size", "key")


class Segments:
    """The folder of a video's segments: hidden, beside the video.

    Args:
        target: The video to be.
    """

    def __init__(self, target: Path) -> None:
        self.folder = target.with_name(f".{target.name}.lsm-segments")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the folder to this process while the block runs; it is made if it is not there.

        Raises:
            OptionError: If another process has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with only_process(self.folder):
            yield

    def begin(self, plan: Mapping[str, object], restart: bool) -> dict[str, Any]:
        """Note the plan, or find that of a run before; while the folder is held.

        Args:
            plan: All that decides about the result.
            restart: Whether to delete what a run before has left.

        Returns:
            The plan of the run before, which may say more under "chosen", else the one given.

        Raises:
            OptionError: If the run before had another plan.
        """
        file = self.folder / _PLAN
        if restart:
            for segment in self.folder.glob(f"*{_ENDING}"):
                segment.unlink()
            file.unlink(missing_ok=True)  # last, since segments without their plan would be taken for those of another
        plain = json.loads(json.dumps(plan))
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            differing = sorted(name for name in plain if name != "chosen" and plain[name] != found.get(name))
            if differing:
                raise OptionError(
                    f"{printable(self.folder)} holds an unfinished run with another {' and '.join(differing)}; "
                    f"repeat its settings to go on with it, or begin anew (restart)."
                )
            return found
        with atomic_file(file) as opened:
            opened.write(json.dumps(plain, indent=1).encode())
        return plain

    def files(self) -> list[Path]:
        """Return the files of the finished segments, in order, up to the first that is missing."""
        found: list[Path] = []
        while (file := self.file(len(found))).exists():
            found.append(file)
        return found

    def file(self, number: int) -> Path:
        """Name the file of a segment."""
        return self.folder / f"{number:06d}{_ENDING}"

    def write_state(self, number: int, state: Mapping[str, np.ndarray]) -> None:
        """Keep what the frames behind the first `number` segments depend on, beside that of one segment before.

        It is written before the last of those segments, and that may be all that a run comes to.
        """
        with atomic_file(self._state(number)) as file:
            file.write(save(dict(state), {"segments": str(number)}))

    def read_state(self, number: int) -> dict[str, np.ndarray]:
        """Return what `write_state` kept for the frames behind the first `number` segments.

        Raises:
            CheckpointError: If it is not there.
        """
        file = self._state(number)
        try:
            with safe_open(file, "numpy") as opened:
                if opened.metadata()["segments"] == str(number):
                    return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (no dictionary)
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{printable(file)} is missing or damaged ({error}); begin anew (restart)."
            ) from error
        raise CheckpointError(f"{printable(file)} is of another segment; begin anew (restart).")

    def _state(self, number: int) -> Path:
        return self.folder / f"state-{number % 2}{_ENDING}"

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Numbers:
    """What is known of the packets of a segment without their data; each (N,) int64, in the order of coding.

    Attributes:
        frames: How many frames were coded.
        pts: When each is shown.
        duration: For how long.
        size: In bytes.
        key: 1 for key frames.
    """

    frames: int
    pts: np.ndarray
    duration: np.ndarray
    size: np.ndarray
    key: np.ndarray


def read_numbers(file: Path) -> Numbers:
    """Read a segment's numbers.

    Raises:
        CheckpointError: If the file is damaged.
    """
    try:
        with safe_open(file, "numpy") as opened:
            values = {name: opened.get_tensor(name) for name in _NUMBERS}
            return Numbers(int(opened.metadata()["frames"]), **values)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{printable(file)} is damaged ({error}); delete it, and the run makes it anew."
        ) from error


def read_packets(file: Path) -> Iterator[Packet]:
    """Read a segment's packets, without their times of decoding."""
    numbers = read_numbers(file)
    with safe_open(file, "numpy") as opened:
        data, wrapped = opened.get_tensor("data").tobytes(), "wrapped" in opened.metadata()
    ends = np.cumsum(numbers.size)
    unwrapped = _unwrap(data) if wrapped else itertools.repeat(None)
    for index, (end, whole) in enumerate(zip(ends, unwrapped, strict=False)):
        packet = whole or Packet(data[end - numbers.size[index] : end])
        packet.pts, packet.duration = int(numbers.pts[index]), int(numbers.duration[index])
        packet.is_keyframe = bool(numbers.key[index])
        yield packet


def _wrap(packets: Sequence[Packet], codec: str, shape: Shape) -> bytes:
    """Put packets into a Matroska file, which keeps what lies beside their data: VP9's transparency."""
    file = io.BytesIO()
    with av.open(file, "w", format=_WRAPPING) as output:
        stream = output.add_stream(codec, rate=1000)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = shape.width, shape.height, shape.pixel_format
        stream.time_base = Fraction(1, 1000)
        for number, packet in enumerate(packets):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = number  # their own times stand beside them
            output.mux_one(packet)
    return file.getvalue()


def _unwrap(data: bytes) -> Iterator[Packet]:
    """Read the packets of `_wrap`."""
    with av.open(io.BytesIO(data), format=_WRAPPING) as container:
        for packet in container.demux(video=0):
            if packet.size:
                yield packet


class SegmentWriter:
    """Codes frames and writes them, a segment at a time; used by one thread.

    Args:
        segments: Where to.
        number: Of the first segment to write.
        length: Frames a segment.
        encoding: How to code.
        shape: Of the frames.
        facts: Of the source.
    """

    def __init__(
        self, segments: Segments, number: int, length: int, encoding: Encoding, shape: Shape, facts: Facts
    ) -> None:
        self._segments, self._number, self._length = segments, number, length
        self._encoding, self._shape, self._facts = encoding, shape, facts
        self._reformatter = VideoReformatter()
        self._encoder: VideoCodecContext | None = None
        self._packets: list[Packet] = []
        self._frames: list[tuple[int, int]] = []
        self._state: Mapping[str, np.ndarray] = {}

    @property
    def keeps_alpha(self) -> bool:
        """Whether frames are coded with their transparency."""
        return keeps_alpha(self._shape.pixel_format)

    def ends_with(self, number: int) -> bool:
        """Return whether a frame, counted from 0, is the last of a whole segment."""
        return (number + 1) % self._length == 0

    def add(self, frame: Frame, state: Mapping[str, np.ndarray] | None = None) -> None:
        """Code one frame.

        Args:
            frame: The next one.
            state: What the frames behind it depend on, if it ends a segment and they depend on anything.
        """
        if state:
            self._state = state
        if self._encoder is None:
            self._encoder = open_encoder(self._encoding, self._shape, self._facts)
        shape = self._shape
        coded = from_rgb(shape.padded(frame.pixels), shape.colours, shape.pixel_format, self._reformatter)
        coded.pts, coded.duration, coded.time_base = frame.pts, frame.duration, self._facts.time_base
        self._packets += self._encoder.encode(coded)
        self._frames.append((frame.pts, frame.duration))
        if len(self._frames) == self._length:
            self.finish()

    def finish(self) -> None:
        """Write the segment that is under way, if any."""
        if self._encoder is None:
            return
        self._packets += self._encoder.encode(None)
        durations, packets = dict(self._frames), self._packets
        values = {
            "pts": [packet.pts for packet in packets],
            "duration": [durations.get(packet.pts or 0, 0) for packet in packets],
            "size": [packet.size for packet in packets],
            "key": [packet.is_keyframe for packet in packets],
        }
        arrays = {name: np.asarray(numbers, np.int64) for name, numbers in values.items()}
        about = {"frames": str(len(self._frames))}
        if any(packet.has_sidedata(_BESIDE) for packet in packets):
            data, about["wrapped"] = _wrap(packets, self._encoding.codec, self._shape), _WRAPPING
        else:
            data = b"".join(map(bytes, packets))
        arrays["data"] = np.frombuffer(data, np.uint8)
        if self._state:
            self._segments.write_state(self._number + 1, self._state)
        with atomic_file(self._segments.file(self._number)) as file:
            file.write(save(arrays, about))
        self._encoder, self._packets, self._frames, self._state = None, [], [], {}
        self._number += 1
