"""Numbered images in a folder as a video."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from lsm.errors import InputError, OptionError
from lsm.image.io import is_image_name, printable, read_image
from lsm.image.pixels import to_depth
from lsm.video.colour import VIDEO_OF_IMAGES
from lsm.video.source import Facts, Frame

log = logging.getLogger(__name__)

_PRINTF = re.compile(r"%(?:0\d+)?d")


class ImageSequence:
    """Images in the order of the numbers in their names, a `Source`; transparency is dropped.

    Args:
        files: The images, in order; all of one size.
        rate: Frames a second.

    Raises:
        InputError: If the first cannot be read.
    """

    def __init__(self, files: Sequence[Path], rate: Fraction) -> None:
        self.files = files
        first = read_image(files[0]).pixels
        self._dtype = first.dtype
        deep = first.dtype == np.uint16
        height, width = first.shape[:2]
        self.facts = Facts(width, height, 1 / rate, rate, range(len(files)), VIDEO_OF_IMAGES, deep)

    def identity(self) -> dict[str, object]:
        """Return the names, sizes and times of change of the images."""
        status = [file.stat() for file in self.files]
        return {
            "names": [file.name for file in self.files],
            "sizes": [one.st_size for one in status],
            "changed": [one.st_mtime_ns for one in status],
        }

    def frames(self, first: int) -> Iterator[Frame]:
        """Read image after image.

        Raises:
            InputError: If one cannot be read, or has another size than the first.
        """
        for number, file in enumerate(self.files[first:], first):
            image = read_image(file)
            height, width = image.pixels.shape[:2]
            if (width, height) != (self.facts.width, self.facts.height):
                size = f"{self.facts.width}×{self.facts.height}"
                raise InputError(f"{printable(file)}: is {width}×{height}, the first frame is {size}.")
            colour = to_depth(image.colour, self._dtype)
            yield Frame(np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour, number, 1)


def is_sequence(name: str) -> bool:
    """Return whether an input is a folder or a pattern rather than one file."""
    return Path(name).is_dir() or (not Path(name).exists() and bool(glob.has_magic(name) or _PRINTF.search(name)))


def find_frames(name: str) -> list[Path]:
    """Find the images of a folder (not below it), a glob, or a pattern such as `frame_%04d.png`, in order.

    Raises:
        InputError: If there are none.
    """
    path = Path(name)
    if path.is_dir():
        found = [file for file in path.iterdir() if not file.name.startswith(".")]
    else:
        parts = _PRINTF.split(name)
        pattern = "[0-9]*".join(map(glob.escape, parts)) if len(parts) > 1 else name
        whole = re.compile(r"\d+".join(map(re.escape, parts)))
        found = [Path(hit) for hit in glob.glob(pattern)]  # noqa: PTH207  (Path.glob takes no absolute patterns)
        found = [file for file in found if len(parts) == 1 or whole.fullmatch(str(file))]
    files = sorted((file for file in found if is_image_name(file)), key=_natural)
    if not files:
        raise InputError(f"{printable(name)}: no images found.")
    _warn_of_gaps(files)
    return files


def parse_rate(text: str) -> Fraction:
    """Read frames a second: "25", "29.97" or "30000/1001".

    Raises:
        OptionError: If it is no such number, or not more than 0 and at most 1000.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000 or rate.denominator > 10**6:
        raise OptionError(f"`fps` {text!r} is no number of frames a second, such as 25, 29.97 or 30000/1001.")
    return rate


def _natural(file: Path) -> list[tuple[int, int | str]]:
    """Sort 2 before 10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", file.name)]


def _warn_of_gaps(files: Sequence[Path]) -> None:
    numbers = [int(found[-1]) for file in files if (found := re.findall(r"\d+", file.stem))]
    missing = numbers[-1] - numbers[0] + 1 - len(numbers) if len(numbers) == len(files) else 0
    if missing > 0:
        log.warning("%d numbers between %s and %s are missing.", missing, files[0].name, files[-1].name)
