"""Make the sheet of docs/real_images.md: one crop in the conditions of `real-sr-y`, upscaled by bicubic and by weights.

python scripts/condition_sheet.py docs/images/real_images.jpg fast-x4 photo-x4
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw

from lsm import Upscaler
from lsm.benchmark.baselines import BASELINES
from lsm.cli import user_errors
from lsm.data.real_sr import CONDITIONS, make_lr
from lsm.errors import needs_extra
from lsm.image.io import read_rgb
from lsm.metrics import psnr

GAP, HEAD = 4, 16  # pixels: between panels, and above each for its name
SHOWN = ("clean", "jpeg85", "jpeg50", "noise10", "linear", "mixed")


def labelled(panel: np.ndarray, text: str) -> Image.Image:
    """Write a line above a panel (H, W, 3)."""
    image = Image.new("RGB", (panel.shape[1] + GAP, panel.shape[0] + HEAD + GAP), "white")
    image.paste(Image.fromarray(panel), (0, HEAD))
    ImageDraw.Draw(image).text((2, 2), text, fill="black")
    return image


def main(
    output: Annotated[Path, typer.Argument(help="The image to write.")],
    models: Annotated[list[str], typer.Argument(help="Weights of one scale.")],
    source: Annotated[Path | None, typer.Option(help="HR; by default a photograph of scikit-image's.")] = None,
    scale: int = 4,
    crop: Annotated[tuple[int, int, int], typer.Option(help="Top, left and side of the crop.")] = (60, 130, 160),
) -> None:
    """Draw a row for each condition: LR, bicubic, each of the weights, HR; dB of the whole image's Y channel."""
    if source is None:
        with needs_extra("train", "The sample photograph needs scikit-image"):
            from skimage.data import chelsea

        hr = chelsea()
    else:
        hr = read_rgb(source)
    hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
    upscalers = {name: Upscaler(name, device="cpu", tile=0) for name in models}
    top, left, side = crop
    cut = np.s_[top : top + side, left : left + side]
    rows = []
    for condition in (each for each in CONDITIONS if each.name in SHOWN):
        data, _ = make_lr(hr, scale, condition, "sheet")
        lr = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        panels = [labelled(lr.repeat(scale, 0).repeat(scale, 1)[cut], f"{condition.name}: LR")]
        results = {"bicubic": BASELINES["bicubic"](lr, scale)} | {name: up(lr) for name, up in upscalers.items()}
        panels += [labelled(image[cut], f"{name} {psnr(image, hr, scale):.2f}") for name, image in results.items()]
        rows.append(np.concatenate([*map(np.asarray, [*panels, labelled(hr[cut], "HR")])], axis=1))
    Image.fromarray(np.concatenate(rows)).save(output, quality=92, subsampling=0)


if __name__ == "__main__":
    with user_errors():
        typer.run(main)
