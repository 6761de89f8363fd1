"""Prepared sets put together into one, as DF2K is DIV2K and Flickr2K."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lsm.data.pairs import list_images
from lsm.errors import InputError
from lsm.files import atomic_file

_PARTS = ("HR", "LR_bicubic")


def merge_sets(
    sources: Sequence[Path], target: Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Put the images of several sets into one, each also where it was.

    Files are linked where the file system can, and take no further room then; else they are copied.

    Args:
        sources: Folders with HR, and perhaps LR_bicubic/X2 and so on.
        target: Folder of the set to make; what is there already stays.
        progress: Called with the files done and all files.

    Returns:
        The number of images of each folder in `target`, such as `"LR_bicubic/X2"`.

    Raises:
        InputError: If two sets have a file of the same name, or one lacks a folder that another has.
    """
    plan: dict[Path, Path] = {}
    counts: dict[str, int] = {}
    folders = [dict(_folders(source)) for source in sources]
    for relative in dict.fromkeys(name for each in folders for name in each):
        for source, own in zip(sources, folders, strict=True):
            if relative not in own:
                raise InputError(f"{source}: has no {relative}, which the other sets have.")
            for file in own[relative]:
                place = target / relative / file.name
                if place in plan:
                    raise InputError(f"{file} and {plan[place]} have the same name; rename one of them.")
                plan[place] = file
            counts[relative] = counts.get(relative, 0) + len(own[relative])
    for done, (place, file) in enumerate(plan.items(), 1):
        _link(file, place)
        if progress:
            progress(done, len(plan))
    return counts


def _folders(source: Path) -> Iterator[tuple[str, list[Path]]]:
    """List the folders of a set that hold images, with their images."""
    for part in _PARTS:
        inner = sorted(path.name for path in (source / part).glob("X*") if path.is_dir())
        for folder in [part, *(f"{part}/{name}" for name in inner)]:
            images = list_images(source / folder) if (source / folder).is_dir() else []
            if images:
                yield folder, images


def _link(file: Path, place: Path) -> None:
    """Link a file to another place, or copy it; one that is there in its full size stays."""
    if place.is_file() and place.stat().st_size == file.stat().st_size:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    try:
        os.link(file, place)
    except OSError:  # another file system, or one without links
        with file.open("rb") as source, atomic_file(place) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
