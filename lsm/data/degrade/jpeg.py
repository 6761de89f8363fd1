"""JPEG as real encoders write it: Pillow's and OpenCV's, with the colour at full, half or quarter resolution."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
Encoder = Literal["pillow", "opencv"]
SUBSAMPLINGS: tuple[Subsampling, ...] = get_args(Subsampling)  # in the order of Pillow's numbers of them
ENCODERS: tuple[Encoder, ...] = get_args(Encoder)

_OPENCV = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}


@dataclass(frozen=True)
class Jpeg:
    """How an image is compressed.

    Attributes:
        quality: libjpeg's, 1 to 100.
        subsampling: Of the colour.
        encoder: "pillow" or "opencv".
    """

    quality: int
    subsampling: Subsampling = "4:2:0"
    encoder: Encoder = "pillow"


def encode(image: np.ndarray, jpeg: Jpeg) -> bytes:
    """Compress an image (H, W, 3), uint8 RGB."""
    if jpeg.encoder == "pillow":
        buffer = io.BytesIO()
        sampling = SUBSAMPLINGS.index(jpeg.subsampling)
        Image.fromarray(image).save(buffer, "JPEG", quality=jpeg.quality, subsampling=sampling)
        return buffer.getvalue()
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg.quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _OPENCV[jpeg.subsampling]]
    return cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)[1].tobytes()


def compress(image: np.ndarray, jpeg: Jpeg) -> np.ndarray:
    """Compress and decompress an image (H, W, 3) float32, 1 for white; rounded to 8 bits before, as a file is."""
    pixels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    with Image.open(io.BytesIO(encode(pixels, jpeg))) as file:
        return np.asarray(file.convert("RGB"), np.float32) / np.float32(255)
