"""`ImageData` → bytes of a file, in the format that a name's extension says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from lsm.errors import InputError, OptionError, unknown_name
from lsm.image.metadata import KEPT_TAGS, fitting_profile
from lsm.image.pixels import ImageData, to_depth
from lsm.image.png16 import write_png16
from lsm.image.remote import RemotePath


@dataclass(frozen=True)
class Format:
    """What a file format can hold.

    Attributes:
        name: Pillow's name of it.
        longest_side: In pixels.
        sixteen_bits: Whether it holds 16 bits a sample.
        channels: The numbers of channels that it holds.
    """

    name: str
    longest_side: int
    sixteen_bits: bool
    channels: tuple[int, ...]

    @property
    def alpha(self) -> bool:
        """Whether it holds alpha."""
        return 4 in self.channels


PNG = Format("PNG", 2**31 - 1, True, (1, 2, 3, 4))
JPEG = Format("JPEG", 65500, False, (1, 3))
WEBP = Format("WEBP", 16383, False, (3, 4))
TIFF = Format("TIFF", 2**31 - 1, True, (1, 2, 3, 4))
BMP = Format("BMP", 2**31 - 1, False, (1, 3, 4))
EXTENSIONS = {
    ".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG, ".webp": WEBP, ".tif": TIFF, ".tiff": TIFF, ".bmp": BMP,
}  # fmt: skip
QUALITY = 95  # of lossy files; chroma is kept at full resolution in JPEG, which halving would blur


def format_of(path: Path | RemotePath) -> Format:
    """Give the format that a name's extension asks for.

    Raises:
        OptionError: On an extension of none of the formats.
    """
    if path.suffix.lower() not in EXTENSIONS:
        raise OptionError(unknown_name("image extension", path.suffix, EXTENSIONS))
    return EXTENSIONS[path.suffix.lower()]


def check_fits(form: Format, height: int, width: int, has_alpha: bool) -> None:
    """Refuse what a format cannot hold; called before the hours of work as well as when writing.

    Raises:
        InputError: With what to choose instead.
    """
    if max(height, width) > form.longest_side:
        raise InputError(
            f"{form.name} holds at most {form.longest_side} pixels a side, not {width}×{height}; use --ext png."
        )
    if has_alpha and not form.alpha:
        raise InputError(f"{form.name} holds no transparency; use --ext png, or --alpha drop.")


def encode(image: ImageData, form: Format, file: BinaryIO) -> None:
    """Write an image. 16 bits are rounded to 8, and grey becomes RGB, only where the format holds nothing else.

    Args:
        image: What to write.
        form: The format.
        file: Opened for writing and reading bytes, and seekable.

    Raises:
        InputError: If the format cannot hold the size or the transparency.
        OSError: If the disk is full, and the like.
    """
    height, width, channels = image.pixels.shape
    check_fits(form, height, width, image.has_alpha)
    pixels = image.pixels if form.sixteen_bits else to_depth(image.pixels, np.dtype(np.uint8))
    if channels not in form.channels:  # grey, with or without alpha, in a format of colours
        pixels = np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], axis=2)
    profile = fitting_profile(image.icc_profile, pixels.shape[2])
    if form is TIFF:
        _write_tiff(file, pixels, profile, image.exif)
    elif pixels.dtype == np.uint16:
        write_png16(file, pixels, profile, image.exif)
    elif form is BMP and pixels.shape[2] == 4:
        _write_bmp_with_alpha(file, pixels)
    else:
        pillow = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        pillow.save(file, form.name, **_save_options(image, form, profile))


def _save_options(image: ImageData, form: Format, profile: bytes | None) -> dict[str, Any]:
    """Give Pillow's options for an 8-bit file."""
    options: dict[str, Any] = {}
    if form is not BMP:
        options |= {"icc_profile": profile} if profile else {}
        options |= {"exif": b"Exif\0\0" + image.exif} if image.exif else {}
    if form is JPEG:
        options |= {"quality": QUALITY, "subsampling": 0}
    elif form is WEBP:
        # `exact` keeps the colours under transparent pixels; of a lossless file, quality is the effort.
        options |= {"lossless": image.lossless, "quality": 50 if image.lossless else QUALITY, "exact": True}
    return options


def _write_tiff(file: BinaryIO, pixels: np.ndarray, profile: bytes | None, exif: bytes | None) -> None:
    """Write (H, W, C) integers as TIFF. Of EXIF it keeps the plain texts; no library packs a camera's block too."""
    import tifffile

    block = Image.Exif()
    if exif:
        block.load(exif)
    texts = {tag: block[tag].encode("ascii", "replace") for tag in KEPT_TAGS if isinstance(block.get(tag), str)}
    channels = pixels.shape[2]
    tifffile.imwrite(
        file,
        pixels[..., 0] if channels == 1 else pixels,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        rowsperstrip=64,
        iccprofile=profile,
        metadata=None,
        software=False,
        extratags=[(tag, "s", 0, text, True) for tag, text in texts.items()],
    )


def _write_bmp_with_alpha(file: BinaryIO, pixels: np.ndarray) -> None:
    """Write a 32-bit BMP with masks; Pillow would drop the alpha."""
    import cv2

    _, data = cv2.imencode(".bmp", np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]))
    file.write(data.tobytes())
