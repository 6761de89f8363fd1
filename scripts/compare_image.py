"""Make the README's comparison: a photograph halved, upscaled again by bicubic and by LSM, cut side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from lsm import Upscaler, load_model
from lsm.cli import user_errors
from lsm.errors import needs_extra
from lsm.image.io import write_image
from lsm.image.resize import imresize
from lsm.metrics import psnr

GAP = 6  # pixels of white between the panels


def upscale_pixels(image: np.ndarray, factor: int) -> np.ndarray:
    """Show each pixel of (H, W, 3) as a square of `factor` pixels."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def compare(
    output: Annotated[Path, typer.Argument(help="The image to write.")],
    low: Annotated[Path | None, typer.Option(help="Also write the halved photograph here.")] = None,
    model: Annotated[str, typer.Option(help="Weights for a scale of 2.")] = "fast-x2",
    crop: Annotated[tuple[int, int, int], typer.Option(help="Top, left and side of the cut.")] = (60, 150, 150),
    zoom: Annotated[int, typer.Option(help="Size of a pixel in the image.")] = 2,
) -> None:
    """Compare on scikit-image's astronaut (NASA, public domain): input | bicubic | LSM | original."""
    with needs_extra("train", "The sample photograph needs scikit-image"):
        from skimage.data import astronaut

    original = astronaut()
    small = imresize(original, 0.5)
    if low is not None:
        write_image(low, small)
    bicubic, ours = imresize(small, 2.0), Upscaler(load_model(model), tile=0, device="cpu")(small)
    for name, image in (("bicubic", bicubic), (model, ours)):
        typer.echo(f"{name}: {psnr(image, original, 2):.2f} dB (Y channel, 2 pixels cropped)")
    top, left, side = crop
    panels = [upscale_pixels(small, 2), bicubic, ours, original]
    cuts = [upscale_pixels(panel[top : top + side, left : left + side], zoom) for panel in panels]
    white = np.full((side * zoom, GAP, 3), 255, np.uint8)
    row = [part for cut in cuts for part in (cut, white)][:-1]
    write_image(output, np.concatenate(row, axis=1))


if __name__ == "__main__":
    with user_errors():
        typer.run(compare)
