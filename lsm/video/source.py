"""Where frames come from: what is known of them before the first, and the frames one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from lsm.video.colour import Colours
from lsm.video.light import Light


@dataclass(frozen=True)
class Frame:
    """One image of a video.

    Attributes:
        pixels: (H, W, 3) or with alpha (H, W, 4), uint8 or uint16, upright.
        pts: When it is shown, in units of the time base.
        duration: For how long, likewise.
    """

    pixels: np.ndarray
    pts: int
    duration: int


@dataclass(frozen=True)
class Companion:
    """A stream beside the frames that is not upscaled.

    Attributes:
        index: In its file.
        kind: "audio", "subtitle", "video", "cover", "attachment", "timecode" or "data".
        codec: FFmpeg's name.
        shifts: Ticks by which each packet moves, in the file's order; None for one to be left out.
    """

    index: int
    kind: str
    codec: str
    shifts: Sequence[int | None] = ()


@dataclass(frozen=True)
class Companions:
    """All that a file holds beside the frames.

    Attributes:
        path: The file.
        streams: Its further streams.
        start: Seconds of the file's clock at which the video begins.
        chapters: How many chapters there are.
    """

    path: Path
    streams: tuple[Companion, ...]
    start: Fraction = Fraction(0)
    chapters: int = 0


@dataclass(frozen=True)
class Facts:
    """What is known of a video before its first frame.

    Attributes:
        width: In pixels, upright.
        height: Likewise.
        time_base: Seconds of one unit of time.
        rate: Frames a second, on average.
        times: When each frame is shown, strictly increasing, in units of the time base.
        colours: What the numbers of its frames mean.
        deep: Whether they have more than 8 bits.
        alpha: Whether any of them is transparent anywhere.
        aspect: Width of a pixel by its height.
        light: HDR metadata.
        unkept: What frames carry and encoders here cannot write, in words.
        companions: What lies beside the frames, if anything does.
        metadata: Title and the like of the file.
        stream_metadata: Likewise of the stream.
        last: Duration of the last frame in units of the time base, 0 if unknown.
        lossy: Whether its codec is one that loses detail, as those of nearly all videos do.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    times: Sequence[int] = field(repr=False)
    colours: Colours
    deep: bool
    alpha: bool = False
    aspect: Fraction = Fraction(1)
    light: Light = field(default_factory=Light)
    unkept: tuple[str, ...] = ()
    companions: Companions | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    stream_metadata: dict[str, str] = field(default_factory=dict)
    last: int = 0
    lossy: bool = False

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.times)

    @property
    def step(self) -> int:
        """A usual frame's duration, in units of the time base."""
        return max(1, round(1 / (self.rate * self.time_base)))

    def duration(self, number: int) -> int:
        """Return for how long a frame is shown, in units of the time base."""
        if number + 1 < len(self.times):
            return self.times[number + 1] - self.times[number]
        return self.last or self.step


class Source(Protocol):
    """A video to be upscaled."""

    facts: Facts

    def frames(self, first: int) -> Iterator[Frame]:
        """Yield the frames from number `first`, counted from 0, in the order in which they are shown."""
        ...

    def identity(self) -> dict[str, object]:
        """Return what tells this input from another, for a run that goes on where one before was stopped."""
        ...
