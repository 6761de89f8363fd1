"""Checking sets before anything relies on them: unreadable files, wrong sizes, LR that is missing, shifted or odd."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm.data.datasets import ImageSet
from lsm.data.origin import other_origin
from lsm.data.pairs import Pair, list_images, lr_stems
from lsm.data.workers import map_in_order
from lsm.errors import InputError
from lsm.image.io import read_rgb
from lsm.image.resize import imresize
from lsm.metrics import rgb_to_y

_REACH = 3  # largest shift looked for, in low-resolution pixels
_SMALL = 24  # LR pixels of a side below which too little is left within the reach of all shifts
_SHIFT_LIMIT = 0.3  # of a low-resolution pixel; resampling without antialiasing about another centre shifts by 0.375
_LIKENESS_LIMIT = 0.8  # correlation with the bicubic LR; noise, blur and JPEG leave more
_FLAT = 2.0  # standard deviation below which an image has nothing to align


@dataclass(frozen=True)
class Problem:
    """Something wrong with an image.

    Attributes:
        image_set: Name of the set.
        scale: Scale.
        image: Name of the image.
        text: What is wrong, with the file's name.
    """

    image_set: str
    scale: int
    image: str
    text: str


def check_set(image_set: ImageSet, jobs: int = 1) -> Iterator[tuple[int, list[Problem]]]:
    """Check every image of a set.

    Args:
        image_set: The set; pairs may lack their LR.
        jobs: Processes.

    Yields:
        After each image the number of images done, and what is wrong with it; last, files of LR without HR.
    """
    tasks = [(pair, image_set.scale, image_set.lr_folder) for pair in image_set.pairs]
    done = 0
    checked = zip(image_set.pairs, map_in_order(check_pair, tasks, jobs), strict=True)
    for done, (pair, texts) in enumerate(checked, 1):
        yield done, [Problem(image_set.name, image_set.scale, pair.name, text) for text in texts]
    yield (
        done,
        [
            Problem(image_set.name, image_set.scale, path.stem, f"{path}: LR without HR in {image_set.hr_folder}.")
            for path in _strays(image_set)
        ],
    )


def check_pair(pair: Pair, scale: int, lr_folder: Path | None = None) -> list[str]:
    """Check one image.

    Args:
        pair: Its files.
        scale: The scale.
        lr_folder: Where its LR should be; none if the set has no LR.

    Returns:
        What is wrong, in sentences that name the files; empty if all is well.
    """
    try:
        hr = read_rgb(pair.hr)
    except InputError as error:
        return [str(error)]
    if pair.lr is None:
        return [f"{pair.hr}: has no LR in {lr_folder}."] if lr_folder else []
    try:
        lr = read_rgb(pair.lr)
    except InputError as error:
        return [str(error)]
    height, width = (side // scale for side in hr.shape[:2])
    if lr.shape[:2] != (height, width):
        return [
            f"{pair.lr}: is {lr.shape[1]}×{lr.shape[0]}, but {pair.hr.name}, {hr.shape[1]}×{hr.shape[0]}, "
            f"at ×{scale} needs {width}×{height}."
        ]
    if min(height, width) == 0:
        return [f"{pair.hr}: {hr.shape[1]}×{hr.shape[0]} is too small for ×{scale}."]
    hr = hr[: height * scale, : width * scale]
    if fault := misalignment(hr, lr):
        return [f"{pair.lr}: {fault} than {pair.hr.name}."]
    named = bool(re.search("bic|lrbi", "/".join(pair.lr.parts[-3:-1]), re.IGNORECASE))
    fault = other_origin(hr, lr, must_be_bicubic=named) if scale > 1 else None
    return [f"{pair.lr}: {fault} of {pair.hr.name}."] if fault else []


def misalignment(hr: np.ndarray, lr: np.ndarray) -> str | None:
    """Compare the contents of a pair.

    LR is set against the bicubic LR of HR: whole-pixel shifts are tried one by one, and what remains is estimated from
    the gradients, so that a shift of a third of a pixel shows, as sampling without a common centre causes.

    Args:
        hr: `(rH, rW, 3)` uint8.
        lr: `(H, W, 3)` uint8.

    Returns:
        What is wrong, to be followed by "than" and a name; none if the two agree, or are too flat or small to tell.
    """
    expected = rgb_to_y(imresize(hr, lr.shape[:2]))
    given = rgb_to_y(lr)
    inner = expected[_REACH:-_REACH, _REACH:-_REACH]
    if min(given.shape) < _SMALL or inner.std() < _FLAT:
        return None
    reach = range(-_REACH, _REACH + 1)
    errors = {(dy, dx): _error(expected, given, dy, dx) for dy in reach for dx in reach}
    dy, dx = min(errors, key=lambda shift: (errors[shift], abs(shift[0]) + abs(shift[1])))
    moved = _moved(given, dy, dx)
    if moved.std() < _FLAT or np.corrcoef(inner.ravel(), moved.ravel())[0, 1] < _LIKENESS_LIMIT:
        return "shows something else"
    fine_y, fine_x = _fine_shift(inner, moved)
    if max(abs(dy + fine_y), abs(dx + fine_x)) > _SHIFT_LIMIT:
        return f"lies {dx + fine_x:+.2f}, {dy + fine_y:+.2f} LR pixels (right, down) elsewhere"
    return None


def _moved(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Cut the inner part of an image, looked at `(dy, dx)` further."""
    height, width = image.shape
    return image[_REACH + dy : height - _REACH + dy, _REACH + dx : width - _REACH + dx]


def _error(expected: np.ndarray, given: np.ndarray, dy: int, dx: int) -> float:
    difference = _moved(given, dy, dx) - expected[_REACH:-_REACH, _REACH:-_REACH]
    return float(np.mean((difference - difference.mean()) ** 2))  # another brightness is no shift


def _fine_shift(expected: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    """Estimate the shift, less than a pixel, of `given` against `expected` by least squares on the gradients."""
    slope_y, slope_x = np.gradient(expected)
    difference = given - expected
    slopes = np.stack([slope_y.ravel(), slope_x.ravel(), np.ones(expected.size)])
    solution, *_ = np.linalg.lstsq(slopes.T, -difference.ravel(), rcond=None)
    return float(solution[0]), float(solution[1])


def _strays(image_set: ImageSet) -> Iterable[Path]:
    """List files of LR that belong to no file of HR."""
    if image_set.lr_folder in (None, image_set.hr_folder):
        return []
    known = {stem.lower() for pair in image_set.pairs for stem in lr_stems(pair.name, image_set.scale)}
    return [path for path in list_images(image_set.lr_folder) if path.stem.lower() not in known]
