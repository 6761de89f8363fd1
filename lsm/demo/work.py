"""What the demo does with an image that was dropped on it; nothing of the web here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm.batch.plan import Naming, plan
from lsm.batch.run import Callbacks, upscale_files
from lsm.errors import InputError
from lsm.image.io import MAX_PIXELS, read_image, write_image
from lsm.image.metadata import Metadata
from lsm.image.pixels import ImageData, to_depth
from lsm.image.resample import resized
from lsm.inference.networks import open_network
from lsm.inference.options import Precision, UpscaleOptions
from lsm.inference.provenance import describe, processing_note
from lsm.inference.upscaler import Upscaler
from lsm.weights.resolve import resolve

PREVIEW_SIDE = 4096
"""Pixels a side of what is shown at most; the file to download is whole."""


@dataclass(frozen=True)
class Choice:
    """What a visitor chose, with the meanings of `lsm upscale`'s options of these names.

    Attributes:
        model: Embedded weights, a preset of theirs, or a file.
        scale: Upscaling factor.
        tile: "auto", or a number of low-resolution pixels.
        precision: "fp32", "bf16" or "fp16".
    """

    model: str
    scale: float
    tile: int | str
    precision: Precision


@dataclass(frozen=True)
class Outcome:
    """What there is to show.

    Attributes:
        result: The file to download, byte for byte what `lsm upscale` writes.
        before: The image upscaled by bicubic, as a PNG to look at.
        after: The result as a PNG of the same size.
        said: What was done, in two lines.
    """

    result: Path
    before: Path
    after: Path
    said: str


def upscale_upload(
    source: Path,
    folder: Path,
    choice: Choice,
    *,
    device: str = "auto",
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Upscale one image as `lsm upscale` does.

    Args:
        source: The file as it was uploaded.
        folder: Empty; the result and what is shown of it are written there.
        choice: What the visitor chose.
        device: As `UpscaleOptions` takes it.
        max_pixels: Larger images are refused.
        progress: Called with tiles done and all tiles.

    Raises:
        LSMError: In the words of `lsm upscale`, without the folders of this machine.
    """
    jobs, _ = plan([str(source)], Naming(folder))
    options = UpscaleOptions(choice.tile, precision=choice.precision, device=device, scale=choice.scale)
    weights = resolve(choice.model, choice.scale)
    upscaler = Upscaler(open_network(weights, "sr"), options, photo=weights.photo)
    settings = describe(weights.label, upscaler)
    lines: list[str] = []
    callbacks = Callbacks(tile=progress, finished=lambda job, text, good: lines.append(text))
    note = processing_note(settings, options.seed)
    summary = upscale_files(jobs, upscaler, note=note, max_pixels=max_pixels, callbacks=callbacks)
    said = [_without_folders(line, source.parent, folder) for line in lines]
    if summary.failed:
        raise InputError(said[0])
    target = summary.done[0].target
    assert isinstance(target, Path)  # not in a store, as `folder` is not
    before, after = write_previews(source, target, folder)
    return Outcome(target, before, after, "\n".join([*said, settings]))


def write_previews(source: Path, result: Path, folder: Path) -> tuple[Path, Path]:
    """Write what a browser shows: 8 bits, PNG, both of one size, at most `PREVIEW_SIDE` pixels a side.

    Args:
        source: The low-resolution image.
        result: The upscaled one.
        folder: For the two files.

    Returns:
        The low-resolution image upscaled by bicubic, and the result.
    """
    large = read_image(result, max_pixels=2**62)  # of our own making, so no bomb
    height, width = large.pixels.shape[:2]
    shrink = min(1.0, PREVIEW_SIDE / max(height, width))
    size = max(1, round(height * shrink)), max(1, round(width * shrink))
    paths = folder / "bicubic.preview.png", folder / "lsm.preview.png"
    for image, path in zip((read_image(source, max_pixels=2**62), large), paths, strict=True):
        metadata = Metadata(icc_profile=image.metadata.icc_profile)
        write_image(path, ImageData(_at_size(image.pixels, *size), metadata))
    return paths


def _at_size(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return (H, W, C) integers as (height, width, C) uint8; as they are where the size is theirs."""
    eight_bits = np.dtype(np.uint8)
    if pixels.shape[:2] == (height, width):
        return to_depth(pixels, eight_bits)
    return resized(pixels, height, width, eight_bits)


def _without_folders(text: str, *folders: Path) -> str:
    """Take the folders of this machine, which are no visitor's business, out of a message."""
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):  # one may lie within the other
        text = text.replace(f"{folder}{os.sep}", "")
    return text
