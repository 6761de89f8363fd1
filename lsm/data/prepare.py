"""Images made ready for training and testing: HR cropped to a multiple, LR by MATLAB's bicubic, sub-images.

    OUTPUT/HR/NAME.png                        cropped to a multiple of all scales
    OUTPUT/LR_bicubic/X4/NAMEx4.png
    OUTPUT/HR_sub/NAME_s001.png               with a sub-image size; LR to the same places, and the same names
    OUTPUT/LR_bicubic/X4_sub/NAME_s001.png
    OUTPUT/LR_jpeg75/X4/NAMEx4.jpg            the other conditions of `real-sr-y`, see lsm/data/real_sr.py
    OUTPUT/meta_info_HR.txt                   and LMDB, see lsm/data/lmdb.py

A run that was stopped goes on where it was: a journal lists every image that is done, with all of its files.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsm.data.pairs import list_images
from lsm.data.real_sr import CONDITIONS, make_lr
from lsm.data.workers import map_in_order
from lsm.errors import InputError, OptionError
from lsm.files import append_line, atomic_file
from lsm.image.io import read_rgb, write_image
from lsm.image.resize import imresize

JOURNAL = ".prepared.jsonl"


@dataclass(frozen=True)
class PrepareOptions:
    """What to make of each image.

    Attributes:
        scales: Scales of LR.
        sub_size: Side of sub-images in HR pixels; 0 for none.
        sub_step: Pixels from one sub-image to the next; their overlap is `sub_size - sub_step`.
        template: Name of LR files, with `{}` for the HR file's stem and `{scale}` for the scale.
        real_sr: Whether to make LR in the conditions of real images too.
    """

    scales: tuple[int, ...] = (2, 3, 4)
    sub_size: int = 0
    sub_step: int = 0
    template: str = "{}x{scale}"
    real_sr: bool = False

    def __post_init__(self) -> None:
        """Check that the values go together.

        Raises:
            OptionError: If a value is wrong or does not go with the scales.
        """
        if not self.scales or min(self.scales) < 2:
            raise OptionError("There must be at least one scale, of 2 or more.")
        if "{}" not in self.template or Path(self.template).name != self.template:
            raise OptionError(f"Template {self.template!r} must hold {{}} for the name, and no folder.")
        if self.sub_size and not 0 < self.sub_step <= self.sub_size:
            raise OptionError(f"Sub-images of {self.sub_size} need a step from 1 to {self.sub_size}.")
        if self.sub_size % self.multiple or self.sub_step % self.multiple:
            raise OptionError(
                f"Sub-images of {self.sub_size} at steps of {self.sub_step}: both must be multiples of "
                f"{self.multiple}, so that they fall on whole pixels of LR at all scales."
            )

    @property
    def multiple(self) -> int:
        """What HR's sides are cropped to a multiple of: the least common multiple of the scales."""
        return math.lcm(*self.scales)


@dataclass(frozen=True)
class Prepared:
    """An image that is done.

    Attributes:
        name: File name of its source.
        size: Bytes of its source.
        mtime: When its source was last changed, in nanoseconds.
        files: Files made of it, relative to the output folder, each with height and width; none if it is smaller than
            one LR pixel at all scales needs.
    """

    name: str
    size: int
    mtime: int
    files: tuple[tuple[str, int, int], ...]


def prepare(
    source: Path,
    output: Path,
    options: PrepareOptions,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Prepared]:
    """Prepare a folder of images, or what is left of it.

    Args:
        source: Folder of images; nothing in it is changed.
        output: Where the results go.
        options: What to make of each image.
        jobs: Processes.
        overwrite: Whether to replace what other options have made there.
        progress: Called with the images done and all images.

    Returns:
        All images, in the order of their names.

    Raises:
        InputError: If an image cannot be read, or the folders are the same.
        OptionError: If the output folder holds what other options made.
    """
    images = list_images(source)
    if not images:
        raise InputError(f"{source}: holds no images.")
    _check_names(images)
    if source.resolve() in (output.resolve(), (output / "HR").resolve()):
        raise InputError(f"{source} would be written over; choose another output folder.")
    journal = _Journal(output, options, overwrite)
    done = {path.name: entry for path in images if (entry := journal.finished(path))}
    left = [path for path in images if path.name not in done]
    for path in left:
        journal.forget(path.name)
    count = len(done)
    for entry in map_in_order(prepare_image, [(path, output, options) for path in left], jobs):
        journal.add(entry)
        done[entry.name] = entry
        count += 1
        if progress:
            progress(count, len(images))
    return [done[path.name] for path in images]


def prepare_image(source: Path, output: Path, options: PrepareOptions) -> Prepared:
    """Make everything of one image.

    Args:
        source: The image.
        output: The output folder.
        options: What to make of each image.

    Returns:
        What was made; no files if the image is smaller than the multiple.

    Raises:
        InputError: If the image cannot be read.
    """
    state = source.stat()
    image = read_rgb(source)
    multiple = options.multiple
    height, width = (side // multiple * multiple for side in image.shape[:2])
    if min(height, width) == 0:
        return Prepared(source.name, state.st_size, state.st_mtime_ns, ())
    hr = image[:height, :width]
    files = [_write(output, f"HR/{source.stem}.png", hr)]
    files += _write_subs(output, "HR_sub", source.stem, hr, options, 1)
    for scale in options.scales:
        lr = imresize(hr, (height // scale, width // scale))
        name = options.template.replace("{scale}", str(scale)).replace("{}", source.stem)
        files.append(_write(output, f"LR_bicubic/X{scale}/{name}.png", lr))
        files += _write_subs(output, f"LR_bicubic/X{scale}_sub", source.stem, lr, options, scale)
        for condition in CONDITIONS if options.real_sr else ():
            if not condition.is_clean:
                data, ending = make_lr(hr, scale, condition, source.stem)
                files.append(_write_data(output, f"{condition.folder}/X{scale}/{name}{ending}", data, lr.shape))
    return Prepared(source.name, state.st_size, state.st_mtime_ns, tuple(files))


def sub_positions(length: int, size: int, step: int) -> list[int]:
    """List where sub-images begin along a side: at every step, and flush with the end.

    Args:
        length: Pixels of the side.
        size: Pixels of a sub-image.
        step: Pixels from one to the next.

    Returns:
        Positions; none if the side is shorter than a sub-image.
    """
    if length < size:
        return []
    positions = list(range(0, length - size + 1, step))
    return positions if positions[-1] == length - size else [*positions, length - size]


def _write_subs(
    output: Path, folder: str, stem: str, image: np.ndarray, options: PrepareOptions, scale: int
) -> list[tuple[str, int, int]]:
    """Cut sub-images out of HR (scale 1) or LR, at the same places of the scene."""
    if not options.sub_size:
        return []
    size, step = options.sub_size // scale, options.sub_step // scale
    places = [
        (top, left)
        for top in sub_positions(image.shape[0], size, step)
        for left in sub_positions(image.shape[1], size, step)
    ]
    return [
        _write(output, f"{folder}/{stem}_s{number:03d}.png", image[top : top + size, left : left + size])
        for number, (top, left) in enumerate(places, 1)
    ]


def _write(output: Path, name: str, image: np.ndarray) -> tuple[str, int, int]:
    path = output / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.ascontiguousarray(image))
    return name, image.shape[0], image.shape[1]


def _write_data(output: Path, name: str, data: bytes, shape: tuple[int, ...]) -> tuple[str, int, int]:
    path = output / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(data)
    return name, shape[0], shape[1]


def _check_names(images: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in images:
        other = seen.setdefault(path.stem.lower(), path)
        if other is not path:
            raise InputError(f"{other} and {path.name} would both become {path.stem}.png; rename one of them.")


class _Journal:
    """Which images are done, and by which options; a line each, written when all of its files are there."""

    def __init__(self, output: Path, options: PrepareOptions, overwrite: bool) -> None:
        self._output = output
        self._path = output / JOURNAL
        self._entries: dict[str, Prepared] = {}
        head: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(options)))
        try:
            output.mkdir(parents=True, exist_ok=True)
            lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        except OSError as error:
            raise InputError(f"{output}: cannot be used: {error.strerror}.") from error
        self._read(lines[1:])
        if lines and _parse(lines[0]) != head:
            if not overwrite:
                raise OptionError(f"{output} was prepared in another way; choose another folder, or `overwrite` it.")
            for name in list(self._entries):
                self.forget(name)
        entries = "".join(json.dumps(dataclasses.asdict(entry)) + "\n" for entry in self._entries.values())
        with atomic_file(self._path) as file:
            file.write(f"{json.dumps(head)}\n{entries}".encode())

    def finished(self, source: Path) -> Prepared | None:
        """Return what was made of an image, if it has not changed since and all of its files are there."""
        entry, state = self._entries.get(source.name), source.stat()
        if entry is None or (entry.size, entry.mtime) != (state.st_size, state.st_mtime_ns):
            return None
        return entry if all((self._output / name).is_file() for name, _, _ in entry.files) else None

    def forget(self, name: str) -> None:
        """Delete what was made of an image."""
        entry = self._entries.pop(name, None)
        for file, _, _ in entry.files if entry else ():
            (self._output / file).unlink(missing_ok=True)

    def add(self, entry: Prepared) -> None:
        """Note that an image is done."""
        self._entries[entry.name] = entry
        append_line(self._path, json.dumps(dataclasses.asdict(entry)))

    def _read(self, lines: Sequence[str]) -> None:
        """Read entries; a line that was cut off when a run was killed is left out."""
        for line in lines:
            values = _parse(line)
            if values:
                files = tuple((str(name), int(height), int(width)) for name, height, width in values["files"])
                entry = Prepared(values["name"], values["size"], values["mtime"], files)
                self._entries[entry.name] = entry


def _parse(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
