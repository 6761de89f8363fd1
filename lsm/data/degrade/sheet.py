"""A sheet of samples to look at: patches of HR beside what a distribution of degradations makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lsm.data.degrade.apply import degrade
from lsm.data.degrade.options import DegradationOptions
from lsm.data.degrade.plan import draw
from lsm.errors import InputError
from lsm.image.io import read_rgb

CAPTION = 14
"""Pixels of a line of text."""
GAP = 6
_PAPER, _INK = (255, 255, 255), (0, 0, 0)


def contact_sheet(
    images: Sequence[Path], options: DegradationOptions, scale: int, count: int = 24, side: int = 160, seed: int = 0
) -> np.ndarray:
    """Draw samples, three to a row: HR on the left, LR on the right with its pixels blown up, what was done below.

    Args:
        images: Clean images, taken in turn.
        options: The distribution.
        scale: Of LR.
        count: Samples.
        side: Side of a patch, in HR pixels; rounded down to a multiple of the scale.
        seed: Another one gives other samples.

    Returns:
        The sheet, (H, W, 3) uint8.

    Raises:
        InputError: If there are no images, or one cannot be read or is smaller than a patch.
    """
    if not images:
        raise InputError("A sheet of samples needs at least one image.")
    side, columns = side // scale * scale, min(3, count)
    width, height = 2 * side + GAP, side + 2 * CAPTION + GAP
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * height + GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(CAPTION - 3)
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        patch = _patch(images[number % len(images)], side, generator)
        plan = draw(options, generator)
        lr = degrade(patch, plan, scale, generator)
        left, top = GAP + number % columns * (width + GAP), GAP + number // columns * height
        sheet.paste(Image.fromarray(patch), (left, top))
        blown_up = Image.fromarray(lr).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(blown_up, (left + side + GAP, top))
        for line, text in enumerate(_wrap(plan.describe(), width, font)):
            pen.text((left, top + side + line * CAPTION), text, _INK, font)
    return np.asarray(sheet)


def _patch(path: Path, side: int, generator: np.random.Generator) -> np.ndarray:
    image = read_rgb(path)
    if min(image.shape[:2]) < side:
        raise InputError(f"{path}: {image.shape[1]}×{image.shape[0]} is smaller than a patch of {side}.")
    top, left = (int(generator.integers(length - side, endpoint=True)) for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def _wrap(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Break a text into at most two lines that fit; what is longer is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:2]
