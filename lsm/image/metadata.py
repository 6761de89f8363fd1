"""EXIF blocks and colour profiles: what may be copied to an upscaled image, and what would be wrong on it."""

from __future__ import annotations

import contextlib

import numpy as np
from PIL import Image, ImageCms

ORIENTATION = 0x0112
PROCESSING_SOFTWARE = 0x000B
# Tags that stay true when the pixels change: what, where, when, by whom. Offsets, sizes, orientation, thumbnail do not.
KEPT_TAGS = (PROCESSING_SOFTWARE, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
STALE_IN_EXIF_IFD = (0xA002, 0xA003, 0xA005, 0x927C)  # size in pixels, offset, maker's note (which holds offsets)
PROFILE_SPACES = {1: b"GRAY", 2: b"GRAY", 3: b"RGB ", 4: b"RGB "}


def kept_exif(image: Image.Image) -> bytes | None:
    """Collect the EXIF tags of an opened image that are still true of an upright, larger copy.

    Args:
        image: Opened by Pillow, loaded or not.

    Returns:
        A block without the "Exif" prefix, or none if nothing is left or the block cannot be read.
    """
    kept = Image.Exif()
    # Damaged metadata is common, and no reason to refuse sound pixels.
    with contextlib.suppress(Exception):
        source = image.getexif()
        for tag in KEPT_TAGS:
            if tag in source:
                kept[tag] = source[tag]
        for ifd in (EXIF_IFD, GPS_IFD):
            values = {tag: value for tag, value in source.get_ifd(ifd).items() if tag not in STALE_IN_EXIF_IFD}
            if values:
                kept.get_ifd(ifd).update(values)
    return serialised(kept)


def serialised(exif: Image.Exif) -> bytes | None:
    """Give the bytes of a block from its TIFF header on, or none if it is empty or holds values of a wrong type."""
    if not exif and not exif.get_ifd(EXIF_IFD) and not exif.get_ifd(GPS_IFD):
        return None
    with contextlib.suppress(Exception):  # as above: values that Pillow reads but cannot write
        return exif.tobytes().removeprefix(b"Exif\0\0")
    return None


def with_processing_note(exif: bytes | None, note: str) -> bytes | None:
    """Write into an EXIF block which software and settings made the pixels (tag ProcessingSoftware)."""
    block = Image.Exif()
    if exif:
        block.load(exif)
    block[PROCESSING_SOFTWARE] = note
    return serialised(block)


def orientation(image: Image.Image) -> int:
    """Give the EXIF orientation, 1 to 8; 1 where there is none or it makes no sense."""
    with contextlib.suppress(Exception):
        value = image.getexif().get(ORIENTATION, 1)
        return value if value in range(1, 9) else 1
    return 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels (H, W, C) as the EXIF orientation (1 to 8) says that they are to be seen."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def fitting_profile(profile: bytes | None, channels: int) -> bytes | None:
    """Give the profile if it describes pixels with that many channels, else none: a wrong one shifts every colour."""
    return profile if profile and profile[16:20] == PROFILE_SPACES[channels] else None


def srgb_profile() -> bytes:
    """Give an sRGB profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
