"""`ImageData` → bytes of a file, and the names of what its format could not hold."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

from lsm.errors import InputError
from lsm.image.exif import block_to_write
from lsm.image.formats import BMP, JPEG, PNG, TIFF, WEBP, Format
from lsm.image.jpeg import iptc_segment
from lsm.image.metadata import fitting_profile, not_held
from lsm.image.pixels import SUBSAMPLINGS, ImageData, to_depth
from lsm.image.png import AfterHead, chunks_to_write
from lsm.image.png16 import write_png16
from lsm.image.tiff_write import write_tiff

QUALITY = 95
"""Of lossy files made from lossless ones; JPEG's chroma is then kept at full resolution, which halving would blur."""
LOWEST_QUALITY = 75
"""That results take over from their inputs: below, the blocks of the compression would outweigh what was upscaled."""
_MOST_BYTES = 65533  # of a JPEG's segment


def check_fits(form: Format, height: int, width: int, has_alpha: bool) -> None:
    """Refuse what a format cannot hold; called before the hours of work as well as when writing.

    Raises:
        InputError: With what to choose instead.
    """
    if max(height, width) > form.longest_side:
        raise InputError(
            f"{form.name} holds at most {form.longest_side} pixels a side, not {width}×{height}; use `ext` png."
        )
    if has_alpha and not form.alpha:
        raise InputError(f"{form.name} holds no transparency; use `ext` png, or `alpha` drop.")


def encode(image: ImageData, form: Format, file: BinaryIO) -> list[str]:
    """Write an image. Floats and 16 bits are rounded, and grey becomes RGB, only where the format holds nothing else.

    Args:
        image: What to write.
        form: The format.
        file: Opened for writing and reading bytes, and seekable.

    Returns:
        A line on what the format cannot hold; none if nothing is lost.

    Raises:
        InputError: If the format cannot hold the size or the transparency.
        OSError: If the disk is full, and the like.
    """
    fitted, lost = _fitted(image, form)
    metadata, pixels = fitted.metadata, fitted.pixels
    exif = None
    if "exif" in form.metadata:
        # The resolution stands in EXIF too, where readers look first, and in WebP it has no other place.
        block = metadata.exif or metadata.note
        exif = block_to_write(metadata.exif, metadata.note, metadata.dpi if block or form is WEBP else None)
    if form is TIFF:
        write_tiff(file, [fitted])
    elif form is PNG:
        listed = chunks_to_write(metadata, metadata.icc_profile, exif)
        if pixels.dtype == np.uint16:
            write_png16(file, pixels, listed)
        else:
            _pillow(pixels).save(cast(BinaryIO, AfterHead(file, listed)), "PNG")
    elif form is BMP:
        _write_bmp(file, fitted)
    else:
        options, too_long = (_jpeg_options if form is JPEG else _webp_options)(fitted, exif)
        lost += too_long
        _pillow(pixels).save(file, form.name, **options)
    return [f"{form.name} cannot hold: {', '.join(lost)}."] if lost else []


def encode_pages(images: Iterable[ImageData], file: BinaryIO, pages: int) -> list[str]:
    """Write images as the pages of a TIFF, each as it comes; see `encode`."""
    lines: dict[str, None] = {}

    def fitted() -> Iterable[ImageData]:
        for image in images:
            page, lost = _fitted(image, TIFF)
            lines.update(dict.fromkeys(lost))
            yield page

    write_tiff(file, fitted(), pages)
    return [f"TIFF cannot hold: {', '.join(lines)}."] if lines else []


def _fitted(image: ImageData, form: Format) -> tuple[ImageData, list[str]]:
    """Convert an image to what a format holds, and name what it does not hold."""
    height, width, channels = image.pixels.shape
    check_fits(form, height, width, image.has_alpha)
    lost = not_held(image.metadata, form)
    pixels = image.pixels
    if pixels.dtype == np.float32 and not form.floats:
        lost.append("floats")
        pixels = to_depth(pixels, np.dtype(np.uint16 if form.sixteen_bits else np.uint8))
    elif pixels.dtype == np.uint16 and not form.sixteen_bits:
        lost.append("16 bits a sample")
        pixels = to_depth(pixels, np.dtype(np.uint8))
    if channels not in form.channels:  # grey, with or without alpha, in a format of colours
        pixels = np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], axis=2)
    profile = fitting_profile(image.metadata.icc_profile, pixels.shape[2])
    return replace(image, pixels=pixels, metadata=replace(image.metadata, icc_profile=profile)), lost


def _pillow(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _quality(image: ImageData) -> int:
    """Return the quality of a lossy file: what is asked for, else the input's, within reason."""
    compression = image.compression
    if compression.quality is None:
        return QUALITY
    return max(compression.quality, LOWEST_QUALITY) if compression.estimated else compression.quality


def _jpeg_options(image: ImageData, exif: bytes | None) -> tuple[dict[str, Any], list[str]]:
    """Return Pillow's options for a JPEG, and the names of what is too long for its segments."""
    metadata, compression = image.metadata, image.compression
    options: dict[str, Any] = {
        "quality": _quality(image),
        "subsampling": SUBSAMPLINGS.index(compression.subsampling or SUBSAMPLINGS[0]),
        "icc_profile": metadata.icc_profile,
        "dpi": tuple(round(min(dpi, 65535)) for dpi in metadata.dpi) if metadata.dpi else None,
        "extra": iptc_segment(metadata.iptc) if metadata.iptc else b"",
    }
    lost = ["IPTC of more than 64 kB"] if metadata.iptc and not options["extra"] else []
    blocks = {"exif": b"Exif\0\0" + exif if exif else None, "xmp": metadata.xmp, "comment": metadata.comment}
    for name, block in blocks.items():
        if block and len(block) + (29 if name == "xmp" else 0) > _MOST_BYTES:
            lost.append(f"{name.upper()} of more than 64 kB")
        elif block:
            options[name] = block
    return {name: value for name, value in options.items() if value not in (None, b"")}, lost


def _webp_options(image: ImageData, exif: bytes | None) -> tuple[dict[str, Any], list[str]]:
    """Return Pillow's options for a WebP."""
    lossless = image.compression.lossless
    options: dict[str, Any] = {
        # `exact` keeps the colours under transparent pixels; of a lossless file, quality is the effort.
        **{"lossless": lossless, "quality": 50 if lossless else _quality(image), "exact": True},
        "icc_profile": image.metadata.icc_profile,
        "exif": b"Exif\0\0" + exif if exif else None,
        "xmp": image.metadata.xmp,
    }
    return {name: value for name, value in options.items() if value is not None}, []


_BMP_WITH_ALPHA = struct.Struct("<2sIHHI Iii HHI Iii II 4I I 36x 12x")
"""Header of the file and BITMAPV4HEADER, the oldest that names a mask for alpha."""


def _write_bmp(file: BinaryIO, image: ImageData) -> None:
    """Write a BMP; one with alpha by hand, as Pillow would drop the alpha, and OpenCV 4.12 does not mark it."""
    pixels, dpi = image.pixels, image.metadata.dpi
    if pixels.shape[2] != 4:
        _pillow(pixels).save(file, "BMP", **({"dpi": dpi} if dpi else {}))
        return
    height, width = pixels.shape[:2]
    metre = [round(value / 0.0254) for value in dpi or (0, 0)]  # pixels
    start, size = _BMP_WITH_ALPHA.size, 4 * width * height
    masks, bitfields, srgb = (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 3, 0x73524742
    place = (b"BM", start + size, 0, 0, start)
    layout = (start - 14, width, height, 1, 32, bitfields, size, *metre, 0, 0)
    file.write(_BMP_WITH_ALPHA.pack(*place, *layout, *masks, srgb))
    file.write(pixels[::-1, :, [2, 1, 0, 3]].tobytes())
