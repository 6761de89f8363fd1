"""Damaged copies of files: bits flipped, fields overwritten, pieces cut, doubled or taken from another file."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image, ImageCms

from lsm.image.encode import encode
from lsm.image.formats import PNG
from lsm.image.metadata import Metadata
from lsm.image.pixels import ImageData

_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds() -> dict[str, bytes]:
    """Make whole files of every kind that the decoders have a way of their own for, by name with extension."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (20, 26, 4), dtype=np.uint8)
    rgb[4:16, 5:20] = 90  # a flat part, which compressors treat in another way than noise
    wide = rgb.astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A maker"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colour, alpha = Image.fromarray(rgb[..., :3]), Image.fromarray(rgb)
    inks = Image.fromarray(rgb, "CMYK")
    tags = {"exif": exif, "icc_profile": profile}
    files = {
        "rgb.png": _saved(colour, "PNG", **tags),
        "alpha.png": _saved(alpha.convert("LA"), "PNG"),
        "palette.png": _saved(colour.quantize(16), "PNG", transparency=3),
        "bits.png": _saved(colour.convert("1"), "PNG"),
        "rgb.jpg": _saved(colour, "JPEG", **tags),
        "progressive.jpg": _saved(colour, "JPEG", progressive=True),
        "inks.jpg": _saved(inks, "JPEG"),
        "grey.jpg": _saved(colour.convert("L"), "JPEG"),
        "lossy.webp": _saved(colour, "WEBP", **tags),
        "lossless.webp": _saved(alpha, "WEBP", lossless=True),
        "alpha.webp": _saved(alpha, "WEBP", quality=50),
        "rgb.tif": _saved(colour, "TIFF", **tags),
        "lzw.tif": _saved(colour, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _saved(colour, "TIFF", compression="jpeg"),
        "rgb.bmp": _saved(colour, "BMP"),
    }
    kinds: dict[str, dict[str, Any]] = {
        "deflate16.tif": {"compression": "zlib", "rowsperstrip": 7},
        "planar16.tif": {"planarconfig": "separate"},
        "tiled16.tif": {"tile": (16, 16), "compression": "zlib"},
        "lzma16.tif": {"compression": "lzma"},
        "big16.tif": {"bigtiff": True, "iccprofile": profile},
    }
    for name, options in kinds.items():
        pixels = np.moveaxis(wide[..., :3], 2, 0) if "planarconfig" in options else wide[..., :3]
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, photometric="rgb", **options)
        files[name] = file.getvalue()
    files["lzw16.tif"] = cv2.imencode(".tif", wide[..., :3], [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes()
    for channels in (1, 2, 3, 4):
        file = io.BytesIO()
        encode(ImageData(wide[..., :channels], Metadata(exif=exif.tobytes()[6:])), PNG, file)
        files[f"deep{channels}.png"] = file.getvalue()
    return files


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Damage a file in one to four ways.

    Args:
        data: A whole file.
        other: Another one, from which pieces are taken.
        rng: Decides everything.

    Returns:
        The damaged file. In half of the damaged PNGs the checksums are set right again, so that what lies behind them
        is reached.
    """
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(_WAYS)(damaged, other, rng)
    if data.startswith(b"\x89PNG") and rng.random() < 0.5:
        return with_checksums(bytes(damaged))
    return bytes(damaged)


def with_checksums(png: bytes) -> bytes:
    """Set the CRC of every chunk right, as far as the chunks can be followed."""
    fixed, place = bytearray(png), 8
    while place + 12 <= len(fixed):
        (length,) = struct.unpack(">I", fixed[place : place + 4])
        end = place + 8 + length
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(fixed[place + 4 : end]))
        place = end + 4
    return bytes(fixed)


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _flip(data: bytearray, other: bytes, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 32))):
        if data:
            data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, other: bytes, rng: random.Random) -> None:
    place, length = _place(data, rng), rng.choice((1, 4, 16, 64))
    data[place : place + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))


def _field(data: bytearray, other: bytes, rng: random.Random) -> None:
    place, kind = _place(data, rng), rng.choice(("<I", ">I", "<H", ">H"))
    size = struct.calcsize(kind)
    data[place : place + size] = struct.pack(kind, rng.choice(_EDGES) & (256**size - 1))


def _cut(data: bytearray, other: bytes, rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _remove(data: bytearray, other: bytes, rng: random.Random) -> None:
    place = _place(data, rng)
    del data[place : place + rng.choice((1, 4, 32, 200))]


def _double(data: bytearray, other: bytes, rng: random.Random) -> None:
    place, length = _place(data, rng), rng.choice((1, 12, 100))
    data[place:place] = data[place : place + length] * rng.choice((1, 2, 50))


def _splice(data: bytearray, other: bytes, rng: random.Random) -> None:
    data[_place(data, rng) :] = other[rng.randrange(len(other)) :]


_WAYS: tuple[Callable[[bytearray, bytes, random.Random], None], ...] = (
    *(_flip, _flip, _field, _field),
    *(_overwrite, _cut, _remove, _double, _splice),
)


def _place(data: bytearray, rng: random.Random) -> int:
    """Choose a place, half of the time in the head, where the structure is."""
    return rng.randrange(max(1, min(len(data), 200 if rng.random() < 0.5 else len(data))))
