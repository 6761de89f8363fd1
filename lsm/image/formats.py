"""The formats of image files: what each can hold, which endings ask for it, and by which first bytes it is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lsm.errors import InputError, OptionError, unknown_name
from lsm.image.remote import RemotePath


@dataclass(frozen=True)
class Format:
    """What a file format that can be written holds.

    Attributes:
        name: Pillow's name of it.
        longest_side: In pixels.
        sixteen_bits: Whether it holds 16 bits a sample.
        channels: The numbers of channels that it holds.
        metadata: The fields of `Metadata` that it holds.
        floats: Whether it holds 32-bit floats.
    """

    name: str
    longest_side: int
    sixteen_bits: bool
    channels: tuple[int, ...]
    metadata: frozenset[str]
    floats: bool = False

    @property
    def alpha(self) -> bool:
        """Whether it holds alpha."""
        return 4 in self.channels


_COMMON = frozenset({"icc_profile", "exif", "xmp", "dpi"})
PNG = Format("PNG", 2**31 - 1, True, (1, 2, 3, 4), _COMMON | {"comment", "texts", "colour_chunks"})
JPEG = Format("JPEG", 65500, False, (1, 3), _COMMON | {"comment", "iptc"})
WEBP = Format("WEBP", 16383, False, (3, 4), _COMMON)
TIFF = Format("TIFF", 2**31 - 1, True, (1, 2, 3, 4), _COMMON | {"iptc"}, floats=True)
BMP = Format("BMP", 2**31 - 1, False, (1, 3, 4), frozenset({"dpi"}))

EXTENSIONS = {
    ".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG, ".jfif": JPEG, ".webp": WEBP, ".tif": TIFF, ".tiff": TIFF,
    ".bmp": BMP,
}  # fmt: skip
"""Endings of the files that are written."""
READ_ONLY = frozenset({
    ".apng", ".avif", ".gif", ".heic", ".heif", ".hif", ".ico", ".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx", ".jxl",
    ".pbm", ".pgm", ".pnm", ".ppm", ".tga",
})  # fmt: skip
"""Endings of the files that are read but not written."""
READABLE = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, HEIC, JPEG XL, JPEG 2000, PPM, TGA or ICO"

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"GIF87a": "GIF", b"GIF89a": "GIF",
    b"\0\0\1\0": "ICO", b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000", b"\xff\x4f\xff\x51": "JPEG2000",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JXL", b"\xff\x0a": "JXL", **dict.fromkeys(TIFF_MAGIC, "TIFF"),
}  # fmt: skip
_OTHERS = {
    b"%PDF": "a PDF document", b"%!PS": "a PostScript document", b"8BPS": "a Photoshop document",
    b"\x76\x2f\x31\x01": "an OpenEXR image", b"#?RADIANCE": "a Radiance HDR image", b"DDS ": "a DDS texture",
    b"<svg": "an SVG drawing", b"<?xml": "an XML document, such as SVG", b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"PK\3\4": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"\x1aE\xdf\xa3": "a Matroska or WebM video",
    b"FUJIFILMCCD-RAW": "a camera's raw file", b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}  # fmt: skip
"""What else may bear an image's name, so that the refusal can say what the file is."""
_AVIF_BRANDS, _HEIF_BRANDS = (
    {b"avif", b"avis"},
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
)


def format_of(path: Path | RemotePath) -> Format:
    """Return the format that a name's ending asks for.

    Raises:
        OptionError: On an ending of none of the formats that can be written.
    """
    if path.suffix.lower() not in EXTENSIONS:
        raise OptionError(unknown_name("image extension", path.suffix, EXTENSIONS))
    return EXTENSIONS[path.suffix.lower()]


def is_image_name(path: Path | RemotePath) -> bool:
    """Return whether a name has the ending of an image that can be read."""
    return path.suffix.lower() in EXTENSIONS or path.suffix.lower() in READ_ONLY


def kind_of(data: bytes, suffix: str = "") -> str:
    """Return the format of a file from its first bytes, or, of one without a mark (TGA), from its ending.

    Args:
        data: The file, or its first 64 bytes.
        suffix: The ending of its name, with the dot.

    Returns:
        Pillow's name of the format; "HEIF" and "JXL" for those of plug-ins.

    Raises:
        InputError: If it is none of the readable ones, with what it is instead where that is known.
    """
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = {data[place : place + 4] for place in range(8, min(len(data), 64, int.from_bytes(data[:4], "big")), 4)}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
        raise InputError("is an MP4, MOV or other ISO media file, not an image.")
    if re.match(rb"P[1-6]\s", data):
        return "PPM"
    if suffix.lower() == ".tga" or data.endswith(b"TRUEVISION-XFILE.\0"):
        return "TGA"
    for magic, what in _OTHERS.items():
        if data.lstrip()[: len(magic)].lower() == magic.lower():
            raise InputError(f"is {what}, which cannot be read as an image.")
    raise InputError(f"not a {READABLE} image, or its head is damaged.")
