"""The configs that come with the package: found by name, and copied to where they can be changed.

A wheel has them in `lsm/options`, put there by setup.py; a source tree, also one installed in place, in its `options`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from pathlib import Path

from lsm.errors import InputError, OptionError, unknown_name
from lsm.files import atomic_file

KINDS = ("train", "test")
"""Folders of configs: those of `lsm train`, and those of `lsm test`."""


def recipes() -> dict[str, Path]:
    """Find the configs that come with the package.

    Returns:
        Each file by its name, e.g. `"train/tiny_x4"`, those that train before those that test.

    Raises:
        InputError: If this installation has none.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "options", package.parent / "options"):
        found = {f"{kind}/{file.stem}": file for kind in KINDS for file in sorted(folder.glob(f"{kind}/*.yml"))}
        if found:
            return found
    raise InputError(f"This installation has no configs beside {package}; install the package anew.")


def select(names: Iterable[str]) -> dict[str, Path]:
    """Choose configs.

    Args:
        names: `"tiny_x4"` means all files of that name, `"train/tiny_x4"` one of them; a name may be a pattern such as
            `"light_*"`.

    Raises:
        OptionError: If a name fits none.
    """
    known = recipes()
    chosen: dict[str, Path] = {}
    for name in names:
        plain = name.removesuffix(".yml")
        fitting = {each: file for each, file in known.items() if fnmatch.fnmatchcase(_part(each, plain), plain)}
        if not fitting:
            raise OptionError(unknown_name("config", name, known if "/" in name else {_part(k, "") for k in known}))
        chosen |= fitting
    return chosen


def copy(names: Iterable[str], folder: Path, replace: bool = False) -> list[Path]:
    """Copy configs into a folder, as FOLDER/train/NAME.yml and FOLDER/test/NAME.yml.

    Args:
        names: See `select`.
        folder: Made if it is not there.
        replace: Whether files of these names may be replaced.

    Returns:
        The copies.

    Raises:
        OptionError: If a name fits none, or a file is there and must stay; then nothing is written.
    """
    targets = {folder / f"{name}.yml": file for name, file in select(names).items()}
    there = [str(target) for target in targets if target.exists()]
    if there and not replace:
        raise OptionError(f"{', '.join(there)} exists already; choose another folder, or allow it to be replaced.")
    for target, file in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(target, replace) as copied:
            copied.write(file.read_bytes())
    return list(targets)


def summary(file: Path) -> str:
    """Return what a config says of itself: its first comment, up to the end of the sentence."""
    first = file.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip().split(". ")[0].split(";")[0].rstrip(".")


def _part(name: str, wanted: str) -> str:
    """Return what of a file's name is compared: all of it if its kind is wanted too."""
    return name if "/" in wanted else name.split("/")[1]
