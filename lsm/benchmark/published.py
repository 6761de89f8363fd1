"""Rows of published tables, shipped with the package as `published_sr.csv`, each with where it was printed."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lsm.errors import OptionError, unknown_name

DEFAULT = "Bicubic,SRCNN,FSRCNN,VDSR,LSM-light"
"""Methods shown where the user names none."""


@dataclass(frozen=True)
class Published:
    """One method at one scale, as it was printed.

    Attributes:
        method: Its name.
        track: "baseline", "light" (trained on DIV2K) or "classic" (DIV2K and Flickr2K).
        scale: Scale.
        parameters: Learned numbers, rounded as printed; none if not printed.
        values: PSNR in dB and SSIM by the set's name.
        source: Where it was printed.
    """

    method: str
    track: str
    scale: int
    parameters: int | None
    values: dict[str, tuple[float, float]]
    source: str


@functools.cache
def published() -> tuple[Published, ...]:
    """Read all rows."""
    with Path(__file__).with_name("published_sr.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_row(line) for line in csv.DictReader(file))


def select(names: str, scales: Iterable[int]) -> list[Published]:
    """Choose rows by their methods' names.

    Args:
        names: Comma-separated names in any case, "all", or "none".
        scales: Scales wanted.

    Returns:
        Rows in the order of the file.

    Raises:
        OptionError: If a name is unknown.
    """
    scales = set(scales)
    rows = [row for row in published() if row.scale in scales]
    if names == "all":
        return rows
    wanted = {_plain(name): name.strip() for name in names.split(",")} if names != "none" else {}
    known = {_plain(row.method): row.method for row in published()}
    for plain in wanted.keys() - known.keys():
        raise OptionError(unknown_name("published method", wanted[plain], known.values()))
    return [row for row in rows if _plain(row.method) in wanted]


def counterpart(label: str, scale: int) -> Published | None:
    """Find the published row of a method that carries the same name, in any case."""
    return next((row for row in published() if row.scale == scale and _plain(row.method) == _plain(label)), None)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _row(line: dict[str, str]) -> Published:
    sets = [name.removesuffix("_psnr") for name in line if name.endswith("_psnr")]
    return Published(
        method=line["method"],
        track=line["track"],
        scale=int(line["scale"]),
        parameters=round(float(line["params_m"]) * 1e6) if line["params_m"] else None,
        values={name: (float(line[f"{name}_psnr"]), float(line[f"{name}_ssim"])) for name in sets},
        source=line["source"],
    )
