"""Where frames come from: what is known of them before the first, and the frames one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from lsm.video.colour import Colours


@dataclass(frozen=True)
class Frame:
    """One image of a video.

    Attributes:
        pixels: (H, W, 3) uint8 or uint16, upright.
        pts: When it is shown, in units of the time base.
        duration: For how long, likewise; 0 if unknown.
    """

    pixels: np.ndarray
    pts: int
    duration: int


@dataclass(frozen=True)
class Facts:
    """What is known of a video before its first frame.

    Attributes:
        width: In pixels, upright.
        height: Likewise.
        time_base: Seconds of one unit of time.
        rate: Frames a second, on average.
        frames: How many there are.
        colours: What the numbers of its frames mean.
        deep: Whether they have more than 8 bits.
        aspect: Width of a pixel by its height.
        audio: A file whose sound belongs to the frames, if any.
        metadata: Title and the like.
    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    frames: int
    colours: Colours
    deep: bool
    aspect: Fraction = Fraction(1)
    audio: Path | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """A usual frame's duration, in units of the time base."""
        return max(1, round(1 / (self.rate * self.time_base)))


class Source(Protocol):
    """A video to be upscaled."""

    facts: Facts

    def frames(self, first: int) -> Iterator[Frame]:
        """Give the frames from number `first`, counted from 0, in the order in which they are shown."""
        ...

    def identity(self) -> dict[str, object]:
        """Give what tells this input from another, for a run that goes on where one before was stopped."""
        ...
