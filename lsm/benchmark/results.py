"""Results as data: one row an image, and the file that holds them all."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsm.benchmark.methods import MethodInfo
from lsm.errors import InputError
from lsm.files import write_text

FORMAT = "lsm-benchmark-1"


@dataclass(frozen=True)
class ImageResult:
    """One image upscaled by one method.

    Attributes:
        model: The method's label.
        image_set: Name of the set.
        scale: Scale.
        image: Name of the image.
        height: Of the high-resolution image, cropped to a multiple.
        width: Of the same.
        psnr: Decibels; infinite for equal images.
        ssim: At most 1.
        seconds: Of the scale alone.
        peak_memory: Bytes beyond what was in use before, or none where the system does not tell.
        data: SHA-256 of the files it was measured on.
        key: SHA-256 of everything that the figures depend on.
        lpips: At least 0, lower is better; none where it was not measured.
    """

    model: str
    image_set: str
    scale: int
    image: str
    height: int
    width: int
    psnr: float
    ssim: float
    seconds: float
    peak_memory: int | None
    data: str
    key: str
    lpips: float | None = None


@dataclass(frozen=True)
class Mean:
    """Means of one method over one set.

    Attributes:
        model: The method's label.
        image_set: Name of the set.
        scale: Scale.
        psnr: Mean of the images' PSNR, decibels.
        ssim: Mean of the images' SSIM.
        seconds: Mean time an image.
        peak_memory: Largest of the images', bytes.
        images: How many images.
        lpips: Mean of the images' LPIPS; none where it was not measured.
    """

    model: str
    image_set: str
    scale: int
    psnr: float
    ssim: float
    seconds: float
    peak_memory: int | None
    images: int
    lpips: float | None


@dataclass(frozen=True)
class Results:
    """A finished benchmark.

    Attributes:
        protocol: Name of the protocol.
        protocol_text: The protocol in words.
        settings: How it ran.
        environment: What it ran on.
        methods: What was compared.
        sets: For each set and scale its name, scale, number of images, hash, and where LR came from.
        rows: Every image.
    """

    protocol: str
    protocol_text: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    methods: tuple[MethodInfo, ...]
    sets: tuple[dict[str, Any], ...]
    rows: tuple[ImageResult, ...]

    @property
    def has_lpips(self) -> bool:
        """Whether LPIPS was measured."""
        return any(row.lpips is not None for row in self.rows)

    def means(self) -> list[Mean]:
        """Average over images, see `means`."""
        return means(self.rows)


def means(rows: Iterable[ImageResult]) -> list[Mean]:
    """Average rows over the images of each method, set and scale, in order of their first row."""
    groups: dict[tuple[str, str, int], list[ImageResult]] = {}
    for row in rows:
        groups.setdefault((row.model, row.image_set, row.scale), []).append(row)
    return [
        Mean(
            *key,
            psnr=sum(row.psnr for row in group) / len(group),
            ssim=sum(row.ssim for row in group) / len(group),
            seconds=sum(row.seconds for row in group) / len(group),
            peak_memory=max((row.peak_memory for row in group if row.peak_memory is not None), default=None),
            images=len(group),
            lpips=_mean_if_all([row.lpips for row in group]),
        )
        for key, group in groups.items()
    ]


def _mean_if_all(values: Sequence[float | None]) -> float | None:
    """Average values; none if one of them is missing, as the mean of the others would be that of other images."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def write_json(results: Results, path: Path) -> None:
    """Write `results.json`; an infinite PSNR becomes the text "inf", which JSON has no number for."""
    content = {"format": FORMAT, **dataclasses.asdict(results)}
    content["means"] = [dataclasses.asdict(mean) for mean in results.means()]
    write_text(path, json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Results:
    """Read what `write_json` wrote.

    Raises:
        InputError: If the file is missing, damaged, or no results.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise InputError(f"{path}: results of format {content['format']!r}; this version reads {FORMAT!r}.")
        return Results(
            content["protocol"],
            content["protocol_text"],
            content["settings"],
            content["environment"],
            tuple(MethodInfo(**method) for method in content["methods"]),
            tuple(content["sets"]),
            tuple(result_from_dict(row) for row in content["rows"]),
        )
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no results.json of `lsm benchmark`, or damaged ({error}).") from error


def result_from_dict(values: dict[str, Any]) -> ImageResult:
    """Build a row from what a JSON file holds.

    Raises:
        TypeError: If fields are missing or unknown.
    """
    return ImageResult(**{**values, "psnr": float(values["psnr"])})


def result_line(row: ImageResult) -> str:
    """Write a row as one line of JSON."""
    return json.dumps(plain(dataclasses.asdict(row)), ensure_ascii=False, allow_nan=False)


def write_csv(rows: Sequence[ImageResult], path: Path) -> None:
    """Write `results.csv`: every image, a line each."""
    text = io.StringIO()
    names = [field.name for field in dataclasses.fields(ImageResult)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) for row in rows)
    write_text(path, text.getvalue())


def plain(value: Any) -> Any:
    """Replace infinite numbers, at any depth of dictionaries and lists, by their text, for JSON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value
