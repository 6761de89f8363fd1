"""What an image file says besides its pixels, and what of it a format cannot hold."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from PIL import ImageCms

from lsm.image.formats import Format

PROFILE_SPACES = {1: b"GRAY", 2: b"GRAY", 3: b"RGB ", 4: b"RGB "}
_SRGB_CHUNKS = {
    b"sRGB": None,  # of any rendering intent
    b"gAMA": (struct.pack(">I", 45455),),
    b"cHRM": (struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),),
    b"cICP": (bytes([1, 13, 0, 1]),),
}
"""Chunks that say what viewers assume of a file without any; nothing is lost with them."""


@dataclass(frozen=True)
class Metadata:
    """What a file says of its image, as far as it is still true of an upright, larger copy.

    Attributes:
        icc_profile: Colour profile; of one that does not fit the channels nothing is written.
        exif: EXIF block from its TIFF header on, without orientation, resolution and thumbnail.
        xmp: XMP packet.
        iptc: IPTC-IIM records.
        dpi: Resolution in pixels an inch, across and down.
        comment: A JPEG's or GIF's comment.
        texts: A PNG's text chunks: kind (tEXt, zTXt, iTXt) and content.
        colour_chunks: A PNG's chunks on colour (gAMA, cHRM, sRGB, cICP, mDCV, cLLI).
        sample_range: The values for black and white that a TIFF of floats states.
        note: The software and settings that made the pixels; written as EXIF's ProcessingSoftware.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    comment: bytes | None = None
    texts: tuple[tuple[bytes, bytes], ...] = ()
    colour_chunks: tuple[tuple[bytes, bytes], ...] = ()
    sample_range: tuple[float, float] | None = None
    note: str | None = None

    def with_note(self, note: str | None) -> Metadata:
        """Return the same with a note on the software that made the pixels."""
        return replace(self, note=note)

    def with_dpi_scaled(self, factor: float) -> Metadata:
        """Return the same with a resolution `factor` times as high, so that the size on paper stays."""
        return self if self.dpi is None else replace(self, dpi=(self.dpi[0] * factor, self.dpi[1] * factor))


def not_held(metadata: Metadata, form: Format) -> list[str]:
    """Return the names of what a format cannot hold of the metadata, for the user to read."""
    names = {
        "icc_profile": "colour profile",
        "exif": "EXIF",
        "xmp": "XMP",
        "iptc": "IPTC",
        "dpi": "resolution (dpi)",
        "comment": "comment",
    }
    lost = [name for field, name in names.items() if field not in form.metadata and getattr(metadata, field)]
    if metadata.texts and "texts" not in form.metadata:
        keywords = sorted({content.partition(b"\0")[0].decode("latin-1") for _, content in metadata.texts})
        lost.append(f"text {', '.join(keywords)}")
    if "colour_chunks" not in form.metadata:
        chunks = [kind.decode() for kind, content in metadata.colour_chunks if not _says_srgb(kind, content)]
        lost += [f"colour chunk {', '.join(chunks)}"] if chunks and not metadata.icc_profile else []
    return lost


def fitting_profile(profile: bytes | None, channels: int) -> bytes | None:
    """Return the profile if it describes pixels with that many channels, else none: a wrong one shifts every colour."""
    return profile if profile and profile[16:20] == PROFILE_SPACES[channels] else None


def srgb_profile() -> bytes:
    """Return an sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _says_srgb(kind: bytes, content: bytes) -> bool:
    values = _SRGB_CHUNKS.get(kind, ())
    return values is None or content in values
