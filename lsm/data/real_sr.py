"""The fixed test of real images, `real-sr-y`: one HR, and LR of it in nine conditions, the same wherever it is made.

| condition | LR |
|---|---|
| clean | MATLAB's bicubic, as `classical-sr-y` has it; the folder LR_bicubic |
| jpeg95 to jpeg30 | that, compressed at this quality (Pillow, 4:2:0) |
| noise10 | that, with white Gaussian noise of σ 10 in steps of 8 bits, clamped and rounded |
| linear | OpenCV's INTER_LINEAR instead, which does not antialias |
| mixed | HR blurred by a Gaussian of σ 1.2 of its pixels, MATLAB's bicubic, noise of σ 5, JPEG of quality 60 |

Noise follows from the image's name alone. JPEG files are as the installed libjpeg writes them; its releases agree.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from lsm.data.degradations import add_noise, image_generator
from lsm.data.degrade.jpeg import Jpeg, encode
from lsm.data.degrade.kernels import Kernel, blur
from lsm.image.resize import imresize


@dataclass(frozen=True)
class Condition:
    """How LR is made.

    Attributes:
        name: Of the condition, and of its folder.
        blur: Standard deviation of the blur of HR, in its pixels; 0 for none.
        linear: Whether LR is made by OpenCV's INTER_LINEAR instead of MATLAB's bicubic.
        noise: Standard deviation in steps of 8 bits; 0 for none.
        quality: Of the JPEG; none for a lossless file.
    """

    name: str
    blur: float = 0.0
    linear: bool = False
    noise: float = 0.0
    quality: int | None = None

    @property
    def is_clean(self) -> bool:
        """Whether LR is that of the classical protocol."""
        return not (self.blur or self.linear or self.noise or self.quality)

    @property
    def folder(self) -> str:
        """Name of the folder of LR files in that of the set."""
        return "LR_bicubic" if self.is_clean else f"LR_{self.name}"


CONDITIONS = (
    Condition("clean"),
    *(Condition(f"jpeg{quality}", quality=quality) for quality in (95, 85, 75, 50, 30)),
    Condition("noise10", noise=10.0),
    Condition("linear", linear=True),
    Condition("mixed", blur=1.2, noise=5.0, quality=60),
)
"""The conditions of `real-sr-y`, in the order of its tables."""


def make_lr(hr: np.ndarray, scale: int, condition: Condition, name: str) -> tuple[bytes, str]:
    """Make LR as a file.

    Args:
        hr: (scale · H, scale · W, 3), uint8.
        scale: Of LR.
        condition: How.
        name: The image's, which its noise follows from.

    Returns:
        The file's bytes, and the ending of its name: `.jpg` or `.png`.
    """
    lr = lr_pixels(hr, scale, condition, name)
    if condition.quality:
        return encode(lr, Jpeg(condition.quality)), ".jpg"
    buffer = io.BytesIO()
    Image.fromarray(lr).save(buffer, "PNG")
    return buffer.getvalue(), ".png"


def lr_pixels(hr: np.ndarray, scale: int, condition: Condition, name: str) -> np.ndarray:
    """Return LR before it is compressed, (H, W, 3) uint8; see `make_lr`."""
    size = hr.shape[0] // scale, hr.shape[1] // scale
    if condition.blur:
        soft = blur(hr.astype(np.float32), Kernel("gaussian", 21, condition.blur))
        hr = np.rint(soft.clip(0, 255)).astype(np.uint8)
    if condition.linear:
        lr = cv2.resize(hr, size[::-1], interpolation=cv2.INTER_LINEAR)
    else:
        lr = imresize(hr, size)
    if condition.noise:
        noisy = add_noise(lr, condition.noise, image_generator(name), clipped=True)
        lr = np.rint(noisy * 255).astype(np.uint8)
    return lr
