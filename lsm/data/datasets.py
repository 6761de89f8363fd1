"""Finding test and training sets on disk: every common spelling of their names, folders and files.

Recognised for a set NAME under a root (or under its folders SR and benchmark; the root may also be the set itself):

    NAME/HR              NAME/LR_bicubic/X4/{}x4.png          LSM, MambaIR, EDSR
    NAME/HR_x4           NAME/LR_x4/{}.png                    one folder a scale
    NAME/GTmod4          NAME/LRbicx4/{}.png                  HAT, BasicSR (GTmod12 too)
    NAME/image_SRF_4     NAME/image_SRF_4/{}_LR.png           SelfExSR, HR ends with _HR; other methods' images are left
    NAME_HR              NAME_LR_bicubic/X4/{}x4.png          DIV2K and Flickr2K as their owners pack them
    NAME                 -                                    images and nothing else

File names of low resolution are `{}`, `{}x4`, `{}_LRBI_x4` or `{}_LR`, where an ending `_HR_x4` of the high resolution
is left out first. Letters may be of either case. Nothing is read from the images here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsm.data.pairs import Pair, image_names, list_hr, match_lr
from lsm.errors import InputError, OptionError, unknown_name

ALIASES = {
    "Set5": ("set5",),
    "Set14": ("set14",),
    "B100": ("b100", "bsd100", "bsds100"),
    "Urban100": ("urban100",),
    "Manga109": ("manga109", "manga109test"),
}
"""The five test sets, and how their names are spelt once case and punctuation are left out."""

IMAGES = {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100, "Manga109": 109}
"""How many images the whole test sets have; a mean over fewer is no figure of that set."""

_HR = ("HR_x{scale}", "GTmod{scale}", "HR/X{scale}", "HR", "GTmod12", "GT", "original", "image_SRF_{scale}")
_LR = (
    "LR_bicubic/X{scale}",
    "LR_bicubic_X{scale}",
    "LRbicx{scale}",
    "LR_x{scale}",
    "LR/X{scale}",
    "LRBI/X{scale}",
    "image_SRF_{scale}",
)
_BESIDE = ("", "SR", "benchmark", "DIV2K", "Flickr2K")  # folders in which roots keep their sets


@dataclass(frozen=True)
class ImageSet:
    """A set of images at one scale.

    Attributes:
        name: The set's name, in the usual spelling for the five test sets.
        scale: The scale of its pairs.
        hr_folder: Where the high-resolution files are.
        lr_folder: Where the low-resolution files are, if there are any.
        pairs: The images, sorted by file name.
    """

    name: str
    scale: int
    hr_folder: Path
    lr_folder: Path | None
    pairs: tuple[Pair, ...]


def canonical_name(name: str) -> str:
    """Return the usual spelling of a test set: `B100` for `bsds100`; other names as they are."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((usual for usual, spellings in ALIASES.items() if plain in spellings), name)


def _has_images(folder: Path) -> bool:
    return any(True for _ in image_names(folder))


def find_set(root: Path, name: str, scale: int, *, incomplete: bool = False, lr_folder: str | None = None) -> ImageSet:
    """Find a set by name under a root, in whatever layout it is kept.

    Args:
        root: Folder of sets, or the set's own folder.
        name: The set's name in any common spelling.
        scale: The scale wanted.
        incomplete: Whether low-resolution files may be missing from their folder.
        lr_folder: Of the low-resolution files within the set's, beside which it holds X2, X4 and so on; one of the
            usual names by default, and then there need not be any.

    Returns:
        The set; unless `incomplete`, pairs lack their low-resolution file only if there is no folder of them.

    Raises:
        InputError: If the root or the set is not there, holds no images, or low-resolution files are missing.
    """
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder.")
    for folder, prefix in _homes(root, name):
        hr = _first_with_images(folder, prefix, _HR, scale)
        if hr is None and not prefix and _has_images(folder):
            hr = folder
        if hr is not None:
            lr = _first_with_images(folder, prefix, (f"{lr_folder}/X{scale}",) if lr_folder else _LR, scale)
            if lr_folder and lr is None:
                raise InputError(f"{folder} holds no images in {lr_folder}/X{scale}: prepare the set with `real_sr`.")
            return pair_folders(hr, lr, scale, canonical_name(name), incomplete=incomplete)
    raise InputError(f"{root}: {unknown_name('set', name, set_names(root)) if set_names(root) else 'holds no sets.'}")


def pair_folders(
    hr_folder: Path, lr_folder: Path | None, scale: int, name: str, *, incomplete: bool = False
) -> ImageSet:
    """Pair the files of two folders.

    Args:
        hr_folder: Folder of high-resolution files.
        lr_folder: Folder of their low-resolution files, if there is one.
        scale: The scale.
        name: What to call the set.
        incomplete: Whether low-resolution files may be missing.

    Returns:
        The set.

    Raises:
        InputError: If low-resolution files are missing, or two high-resolution files have the same stem.
    """
    hr = list_hr(hr_folder, lr_folder)
    lr = match_lr(hr, lr_folder, scale) if lr_folder else [None] * len(hr)
    pairs = tuple(Pair(h.stem, h, found) for h, found in zip(hr, lr, strict=True))
    missing = [pair.name for pair in pairs if pair.lr is None]
    if lr_folder and missing and not incomplete:
        raise InputError(
            f"{lr_folder} holds no file for {missing[0]!r} of {hr_folder} "
            f"({len(missing)} of {len(pairs)} missing); complete it, or move it away to have LR made by bicubic."
        )
    stems = [pair.name for pair in pairs]
    double = next((stem for stem in stems if stems.count(stem) > 1), None) if len(set(stems)) < len(stems) else None
    if double:
        raise InputError(f"{hr_folder} holds {double!r} twice, with different extensions; keep one of them.")
    return ImageSet(name, scale, hr_folder, lr_folder, pairs)


def set_names(root: Path) -> list[str]:
    """List the sets that a root holds, in their usual spelling.

    Raises:
        InputError: If the root is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder.")
    if _is_set(root):
        return [canonical_name(root.name)]
    names: dict[str, None] = {}
    for beside in _BESIDE:
        parent = _child(root, beside)
        if parent is None or (beside and _is_set(parent)):  # the folders of a set are no sets
            continue
        for folder in _folders(parent):
            prefix = re.match(r"(.+)_HR$", folder.name, flags=re.IGNORECASE)
            if prefix and _has_images(folder):
                names.setdefault(canonical_name(prefix[1]))
            elif _is_set(folder) or (folder.name not in _BESIDE and not _is_lr(folder) and _has_images(folder)):
                names.setdefault(canonical_name(folder.name))
    return sorted(names)


def parse_scales(text: str) -> list[int]:
    """Read scales from a comma-separated list such as `2,3,4`; `x4` is understood.

    Raises:
        OptionError: If one is no whole number from 2 to 8.
    """
    scales = []
    for item in text.split(","):
        digits = item.strip().lower().removeprefix("x")
        if not digits.isdigit() or not 2 <= int(digits) <= 8:
            raise OptionError(f"Scale {item.strip()!r} is not a whole number from 2 to 8; give for example 2,3,4.")
        scales.append(int(digits))
    return list(dict.fromkeys(scales))


def _homes(root: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield where a set may be: a folder, and the prefix of the folders in it."""
    if canonical_name(root.name).lower() == canonical_name(name).lower() and _is_set(root):
        yield root, ""
    for beside in _BESIDE:
        parent = _child(root, beside)
        if parent is None:
            continue
        for folder in _folders(parent):
            if canonical_name(folder.name).lower() == canonical_name(name).lower():
                yield folder, ""
        if _child(parent, f"{name}_HR"):
            yield parent, f"{name}_"


def _is_set(folder: Path) -> bool:
    """Return whether a folder itself holds high-resolution images in one of the layouts."""
    return any(_first_with_images(folder, "", _HR, scale) for scale in (2, 3, 4, 8))


def _is_lr(folder: Path) -> bool:
    return bool(re.match(r"(.*_)?(lr|lrbi|x\d)", folder.name, flags=re.IGNORECASE))


def _first_with_images(folder: Path, prefix: str, templates: Sequence[str], scale: int) -> Path | None:
    """Return the first folder of the templates that is there and holds images."""
    for template in templates:
        found = _child(folder, prefix + template.format(scale=scale))
        if found is not None and _has_images(found):
            return found
    return None


def _child(folder: Path, relative: str) -> Path | None:
    """Find a folder by its relative path, in whatever case its letters are."""
    for part in relative.split("/") if relative else []:
        exact = folder / part
        match = exact if exact.is_dir() else next((f for f in _folders(folder) if f.name.lower() == part.lower()), None)
        if match is None:
            return None
        folder = match
    return folder


def _folders(folder: Path) -> list[Path]:
    """List the folders in a folder, sorted; hidden ones are left out."""
    with os.scandir(folder) as entries:
        return [folder / entry.name for entry in sorted(entries, key=lambda e: e.name) if _is_open_folder(entry)]


def _is_open_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")
