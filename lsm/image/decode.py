"""Bytes of a file → `ImageData`, by the format that the first bytes tell."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

from lsm.errors import InputError
from lsm.image import jpeg, png, webp
from lsm.image.exif import exif_dpi, exif_of, kept_exif, orientation, sensible_dpi
from lsm.image.formats import kind_of
from lsm.image.limits import check_icon, check_scans, check_size
from lsm.image.metadata import Metadata, fitting_profile
from lsm.image.modes import plain_pixels
from lsm.image.pixels import Compression, ImageData, upright
from lsm.image.plugins import deep_heif, jxl_size, open_plugin, xml_box
from lsm.image.tiff_read import decode_pages as decode_tiff_pages
from lsm.image.xmp import kept_xmp

_PILLOW = {"JPEG": ("JPEG", "MPO")}  # MPO: a camera's JPEG with previews behind the image
_LOSSY = ("JPEG", "AVIF", "HEIF", "JXL", "JPEG2000")
_TURNED_BY_DECODER = ("HEIF", "JXL")


def decode(data: bytes, max_pixels: int, suffix: str = "") -> ImageData:
    """Decode a file that holds one image.

    Args:
        data: The whole file.
        max_pixels: Larger images are refused before anything is decompressed.
        suffix: The ending of the file's name, for formats that the first bytes do not tell.

    Returns:
        The image, upright; of an animation the first frame. A palette is expanded to grey or RGB (with alpha, if it has
        transparent entries) and 1-bit to grey, since a larger copy has colours in between; CMYK is converted to RGB
        through its profile.

    Raises:
        InputError: If the image is too large, is a TIFF of several pages, or holds numbers of another kind.
        OptionError: If the format needs a plug-in that is not installed.
        Exception: Of any kind, from the decoders, on damaged data.
    """
    first = next(iter(decode_pages(data, max_pixels, suffix)))
    if first.frames > 1 and kind_of(data, suffix) == "TIFF":
        raise InputError(
            f"holds {first.frames} pages; upscale all of them (`pages` all), or save one as a file of its own."
        )
    return first


def decode_pages(data: bytes, max_pixels: int, suffix: str = "") -> Iterator[ImageData]:
    """Decode all pages of a TIFF, or the one image of another file; see `decode`."""
    kind = kind_of(data, suffix)
    if kind == "TIFF":
        yield from decode_tiff_pages(data, max_pixels)
    else:
        yield _decode_image(data, kind, max_pixels)


def open_head(file: BinaryIO, kind: str) -> Image.Image:
    """Open a file by Pillow without decoding its pixels, as far as the format allows.

    Args:
        file: Opened for reading bytes.
        kind: See `lsm.image.formats.kind_of`.

    Raises:
        OptionError: If the format needs a plug-in that is not installed.
        Exception: Of any kind, on damaged data.
    """
    if kind in ("HEIF", "JXL"):
        return open_plugin(kind, file)
    return Image.open(file, formats=_PILLOW.get(kind, (kind,)))


def _decode_image(data: bytes, kind: str, max_pixels: int) -> ImageData:
    """Decode what Pillow or a plug-in of it reads."""
    if kind == "JXL":  # its plug-in decodes the pixels as soon as it opens a file
        check_size(*jxl_size(data), max_pixels)
    with open_head(io.BytesIO(data), kind) as image:
        check_size(image.width, image.height, max_pixels)
        notes = _check_structure(data, kind, max_pixels)
        frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
        if frames > 1:
            notes.append(f"the {'main' if kind == 'HEIF' else 'first'} one of {frames} images")
        source = exif_of(image)
        compression = _compression(data, kind, image)
        image.load()
        pixels, profile = _pixels(data, kind, image)
        pixels = upright(pixels, 1 if kind in _TURNED_BY_DECODER else orientation(source))
        metadata = _metadata(data, kind, image, source, fitting_profile(profile, pixels.shape[2]))
    bits = _stated_bits(data, kind)
    if bits > 8 and pixels.dtype == np.uint8:
        notes.append(f"{bits} bits a sample were read as 8")
    return ImageData(pixels, metadata, compression, frames, tuple(notes))


def _check_structure(data: bytes, kind: str, max_pixels: int) -> list[str]:
    """Refuse what would take hours to decode, and return notes on what lies in a file besides the image."""
    if kind == "ICO":
        check_icon(data, max_pixels)
    if kind != "JPEG":
        return []
    layout = jpeg.layout(data)
    check_scans(layout.scans)
    rest = data[layout.end :]
    # Behind the image of a camera often lie previews, which are JPEGs, and padding.
    if rest.strip(b"\0\xff") == b"" or rest.lstrip(b"\0\xff").startswith((b"\xd8\xff", b"\xff\xd8")):
        return []
    what = "a motion photo's film" if b"ftyp" in rest[:64] else "data of another kind"
    return [f"{what} ({len(rest)} bytes) behind the image was left out"]


def _compression(data: bytes, kind: str, image: Image.Image) -> Compression:
    """Return how an opened file's pixels are compressed."""
    if kind == "JPEG":
        return Compression(False, jpeg.quality_of(image), jpeg.subsampling_of(image), estimated=True)
    if kind == "WEBP":
        lossless = b"VP8L" in data[:4096] and b"VP8 " not in data[:4096]
        return Compression(lossless, None if lossless else webp.quality_of(data), estimated=True)
    return Compression(kind not in _LOSSY)


def _pixels(data: bytes, kind: str, image: Image.Image) -> tuple[np.ndarray, bytes | None]:
    """Return a loaded image's pixels as stored, (H, W, C), and the profile that holds for them."""
    if kind == "PNG":
        if data[24] == 16:
            return png.decode_16_bits(data, image), image.info.get("icc_profile")
        png.scale_transparency(data, image)
    deep = _deep_ppm(data) if kind == "PPM" else deep_heif(data) if kind == "HEIF" else None
    if deep is not None:
        return deep, image.info.get("icc_profile")
    return plain_pixels(image)


def _deep_ppm(data: bytes) -> np.ndarray | None:
    """Decode a PPM of RGB with more than 8 bits, of which Pillow keeps 8; none if it is another kind."""
    head = re.match(rb"P6\s+(?:#[^\n]*\n\s*)*(\d+)\s+(?:#[^\n]*\n\s*)*(\d+)\s+(?:#[^\n]*\n\s*)*(\d+)\s", data)
    if head is None or not 255 < int(head[3]) < 65536:
        return None
    width, height, most = (int(number) for number in head.groups())
    values = np.frombuffer(data, ">u2", width * height * 3, head.end()).reshape(height, width, 3)
    return np.rint(np.minimum(values, most) * (65535.0 / most)).astype(np.uint16)


def _metadata(data: bytes, kind: str, image: Image.Image, source: Image.Exif, profile: bytes | None) -> Metadata:
    """Collect what a loaded image's file says of it."""
    texts, colour = png.texts_and_colour(data) if kind == "PNG" else ((), ())
    xmp = xml_box(data) if kind == "JXL" else image.info.get("xmp")
    comment = image.info.get("comment")
    return Metadata(
        icc_profile=profile,
        exif=kept_exif(source),
        xmp=kept_xmp(xmp if isinstance(xmp, (bytes, str)) else None),
        iptc=jpeg.iptc_of(image) if kind == "JPEG" else None,
        dpi=_dpi(kind, image, source),
        comment=comment.rstrip(b"\0") or None if isinstance(comment, bytes) and kind in ("JPEG", "GIF") else None,
        texts=texts,
        colour_chunks=colour,
    )


def _dpi(kind: str, image: Image.Image, source: Image.Exif) -> tuple[float, float] | None:
    """Return the resolution that the file's own field states, else that of its EXIF block."""
    stated = image.info.get("dpi")
    unitless = kind == "JPEG" and image.info.get("jfif_unit") == 0
    if kind not in ("JPEG", "PNG", "BMP") or not isinstance(stated, tuple) or unitless:
        return exif_dpi(source)
    return sensible_dpi(float(stated[0]), float(stated[1])) or exif_dpi(source)


def _stated_bits(data: bytes, kind: str) -> int:
    """Return the bits a sample that a file of a format with more than 8 states in its head; 8 if it is not found."""
    head = data[:65536]
    if kind == "AVIF" and (place := head.find(b"pixi")) >= 0:
        return int(head[place + 9])  # behind the version and the number of channels
    if kind == "JPEG2000" and (place := head.find(b"\xff\x51")) >= 0 and len(head) > place + 40:
        return (head[place + 40] & 0x7F) + 1
    if kind == "PNG":
        return int(head[24])
    return 8
