"""One image of a set and its low-resolution counterpart: how their files are found, read and identified."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm.data.lmdb_images import list_lmdb
from lsm.errors import InputError, one_line
from lsm.image.formats import EXTENSIONS
from lsm.image.io import read_rgb
from lsm.image.resize import imresize

LR_TEMPLATES = ("{stem}", "{stem}x{scale}", "{stem}_LRBI_x{scale}", "{stem}_LR", "{stem}_LR_x{scale}")
"""Names of low-resolution files, by the stem of the high-resolution one."""


@dataclass(frozen=True)
class Pair:
    """One image of a set.

    Attributes:
        name: Stem of the high-resolution file, unique in its set.
        hr: The high-resolution file.
        lr: The low-resolution file; none where it is to be made by MATLAB's bicubic.
    """

    name: str
    hr: Path
    lr: Path | None


def list_images(folder: Path) -> list[Path]:
    """List the images of a folder, sorted by name; folders inside it, hidden files and other files are left out.

    Args:
        folder: The folder; one named `NAME.lmdb` is BasicSR's database of images.

    Raises:
        InputError: If the folder cannot be read.
    """
    if folder.suffix == ".lmdb":
        return list_lmdb(folder)
    return [folder / name for name in sorted(image_names(folder))]


def image_names(folder: Path) -> Iterator[str]:
    """Yield the names of a folder's images; text alone is looked at, since folders hold tens of thousands."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                ending = os.path.splitext(entry.name)[1]  # noqa: PTH122  (a Path for each name takes ten times longer)
                if ending.lower() in EXTENSIONS and not entry.name.startswith(".") and not entry.is_dir():
                    yield entry.name
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}.") from error


def list_hr(folder: Path, lr_folder: Path | None, listing: Path | None = None) -> list[Path]:
    """List the high-resolution images of a folder.

    Args:
        folder: The folder.
        lr_folder: That of the low-resolution ones; where it is the same, as in SelfExSR's sets, HR ends with `_HR`.
        listing: A text file that names the images to take, by the first word of each line: BasicSR's `meta_info_file`.
            A name may lead into folders below, `n01440764/n01440764_18.JPEG`.

    Raises:
        InputError: If a folder or the listing cannot be read.
    """
    if listing is not None:
        try:
            lines = listing.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{listing}: cannot be read as a list of images: {one_line(error)}.") from error
        names = list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))
        if any("/" in name for name in names):
            return sorted(path for path in map(folder.joinpath, names) if path.is_file())
        known = {path.name: path for path in list_images(folder)}
        return sorted(known[name] for name in names if name in known)
    images = list_images(folder)
    named = [path for path in images if _says_hr(path)] if folder == lr_folder else []
    return named or images


def _says_hr(path: Path) -> bool:
    return path.stem.upper().endswith("_HR")


def match_lr(hr: Sequence[Path], folder: Path, scale: int) -> list[Path | None]:
    """Find the low-resolution file of every high-resolution one.

    The template that fits most files is taken for all of them, so that one stray name does not decide.

    Args:
        hr: High-resolution files.
        folder: Folder of the low-resolution files; it may be that of `hr` too.
        scale: The scale that some names carry.

    Returns:
        A path for each of `hr`, or none where there is no such file.
    """
    own = {path for path in hr if _says_hr(path)}  # of SelfExSR's folders, which hold both
    known = {path.stem.lower(): path for path in list_images(folder) if path not in own}
    best: list[Path | None] = [None] * len(hr)
    most = 0
    for template in range(2 * len(LR_TEMPLATES)):
        found = [known.get(lr_stems(path.stem, scale)[template].lower()) for path in hr]
        count = sum(path is not None for path in found)
        if count > most:
            best, most = found, count
    return best


def lr_stems(stem: str, scale: int) -> list[str]:
    """Return the stems of the low-resolution file by `LR_TEMPLATES`, without an ending `_HR_x4` and then with it."""
    plain = re.sub(rf"_HR(_x{scale})?$", "", stem, flags=re.IGNORECASE)
    return [template.format(stem=each, scale=scale) for each in (plain, stem) for template in LR_TEMPLATES]


def load_pair(pair: Pair, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a pair as the protocol asks: HR cropped to a multiple of the scale, LR as given or by MATLAB's bicubic.

    Args:
        pair: The files.
        scale: The scale.

    Returns:
        HR `(scale * H, scale * W, 3)` and LR `(H, W, 3)`, uint8 RGB.

    Raises:
        InputError: If a file cannot be read, HR is smaller than the scale, or LR has another size than H×W.
    """
    hr = read_rgb(pair.hr)
    height, width = (side // scale for side in hr.shape[:2])
    if min(height, width) == 0:
        raise InputError(f"{pair.hr}: {hr.shape[1]}×{hr.shape[0]} is too small for ×{scale}.")
    hr = hr[: height * scale, : width * scale]
    if pair.lr is None:
        return hr, imresize(hr, (height, width))
    lr = read_rgb(pair.lr)
    if lr.shape != (height, width, 3):
        raise InputError(
            f"{pair.lr}: {lr.shape[1]}×{lr.shape[0]}, but {pair.hr.name} at ×{scale} needs {width}×{height}."
        )
    return hr, lr


def pair_hash(pair: Pair) -> str:
    """Hash the files of a pair as they are on disk.

    Raises:
        InputError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for path in (pair.hr, pair.lr):
        if path is None:
            digest.update(b"MATLAB bicubic")
            continue
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    return digest.hexdigest()
