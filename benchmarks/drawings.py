"""Drawings, text and pixel art, made here and upscaled: what models of photographs do to what is no photograph.

    python benchmarks/drawings.py [MODEL ...]

HR is drawn at the fourfold size by Pillow; LR is MATLAB's bicubic of it. For sprites, whose pixels are the image, HR is
the nearest-neighbour enlargement. Prints PSNR on Y beside bicubic, and what is left of a thin dark line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lsm.benchmark.baselines import bicubic
from lsm.image.resize import imresize
from lsm.inference.upscaler import Upscaler
from lsm.metrics import psnr

SCALE = 4
SIDE = 256


def text_page() -> np.ndarray:
    """Return dark text on paper, whose letters are 10 pixels high in LR."""
    page = Image.new("RGB", (SIDE, SIDE), (244, 240, 232))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(40)
    for line, words in enumerate(("Quick brown", "foxes jump", "over 27 lazy", "dogs, twice?", "(not 3 times)")):
        pen.text((8, 4 + 50 * line), words, (30, 30, 40), font)
    return np.asarray(page)


def line_art() -> np.ndarray:
    """Return lines of 4 pixels (one in LR) at many angles, circles, and a flat fill, without antialiasing."""
    paper = Image.new("RGB", (SIDE, SIDE), (250, 250, 250))
    pen = ImageDraw.Draw(paper)
    for end in range(0, SIDE, 32):
        pen.line((0, 0, end, SIDE), (20, 20, 20), 4)
    for radius in (20, 40, 60):
        pen.ellipse((180 - radius, 80 - radius, 180 + radius, 80 + radius), outline=(180, 20, 20), width=4)
    pen.rectangle((150, 170, 240, 240), fill=(40, 90, 200))
    return np.asarray(paper)


def screenshot() -> np.ndarray:
    """Return windows, buttons and small text."""
    screen = Image.new("RGB", (SIDE, SIDE), (225, 228, 232))
    pen, font = ImageDraw.Draw(screen), ImageFont.load_default(28)
    for number, name in enumerate(("File", "Edit", "View")):
        top = 8 + 80 * number
        pen.rounded_rectangle((12, top, 244, top + 64), 12, (255, 255, 255), (120, 120, 130), 4)
        pen.text((28, top + 14), f"{name}  Ctrl+{name[0]}", (20, 20, 20), font)
    return np.asarray(screen)


def sprite() -> tuple[np.ndarray, np.ndarray]:
    """Return a sprite of few colours and hard edges as HR, enlarged pixel by pixel, and as LR."""
    colours = np.array([(20, 12, 28), (208, 70, 72), (222, 238, 214), (109, 170, 44), (89, 125, 206)], np.uint8)
    half = np.random.default_rng(7).integers(0, len(colours), (64, 32))
    small = colours[
        np.concatenate([half, half[:, ::-1]], axis=1) * (np.add.outer(np.arange(64), np.arange(64)) % 3 > 0)
    ]
    return small.repeat(SCALE, 0).repeat(SCALE, 1), small


def shrink(hr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return HR, and LR by MATLAB's bicubic."""
    return hr, imresize(hr, 1 / SCALE)


def thin_line(upscale: Callable[[np.ndarray], np.ndarray]) -> int:
    """Return the darkest value that upscaling leaves of a 1-pixel line of 90 on 240."""
    image = np.full((48, 48, 3), 240, np.uint8)
    image[:, 24] = 90
    return int(upscale(image)[48:144].min())


def main() -> None:
    """Print one line an image and method."""
    pairs = {"text": shrink(text_page()), "line art": shrink(line_art()), "screenshot": shrink(screenshot())}
    pairs["sprite"] = sprite()
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {"bicubic": lambda lr: bicubic(lr, SCALE)}
    methods |= {name: Upscaler(name, device="cpu", scale=SCALE) for name in sys.argv[1:] or ["tiny-x4"]}
    print("| image | " + " | ".join(methods) + " |\n|:--|" + "--:|" * len(methods))
    for name, (hr, lr) in pairs.items():
        cells = [f"{psnr(hr, upscale(lr), SCALE):.2f}" for upscale in methods.values()]
        print(f"| {name}, dB | " + " | ".join(cells) + " |")
    cells = [str(thin_line(upscale)) for upscale in methods.values()]
    print("| line of 90 on 240, darkest | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
