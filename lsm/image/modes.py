"""Pillow's 8-bit modes → grey or RGB, with or without alpha."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from lsm.errors import InputError
from lsm.image.metadata import srgb_profile

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_GREYS = ("1", "L", "LA", "La")
_KNOWN = (*_GREYS, "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "CMYK")


def may_have_alpha(image: Image.Image) -> bool:
    """Return whether an opened image will decode to grey or RGB with alpha, by its header."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def plain_pixels(image: Image.Image) -> tuple[np.ndarray, bytes | None]:
    """Convert a loaded image to (H, W, C) integers.

    Returns:
        The pixels, uint16 for Pillow's modes of 16 bits, else uint8; and the colour profile that holds for them.

    Raises:
        InputError: If the mode is none of grey and colour.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return np.asarray(image).astype(np.uint16)[..., None], profile
    plain, profile = _plain_mode(image, profile)
    return np.asarray(plain).reshape(plain.height, plain.width, -1), profile


def _plain_mode(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Convert an 8-bit image to one of L, LA, RGB, RGBA, and return the profile that holds for it then."""
    if image.mode not in _KNOWN:
        raise InputError(
            f"holds pixels of kind {image.mode!r}; only grey and colour of 8 and 16 bits, and floats in TIFF, are read."
        )
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image, profile)
    if image.mode in CHANNELS and "transparency" not in image.info:
        return image, profile
    grey = image.mode in _GREYS or (image.mode in ("P", "PA") and _has_grey_palette(image))
    if may_have_alpha(image):
        straight = image.convert("RGBA")
        return (straight.convert("LA") if grey else straight), profile
    return image.convert("L" if grey else "RGB"), profile


def _has_grey_palette(image: Image.Image) -> bool:
    colours = np.reshape(image.getpalette("RGB") or [], (-1, 3))
    return bool((colours == colours[:, :1]).all())


def _cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Convert inks to colours, through the embedded profile where there is one; the result is sRGB."""
    if profile and profile[16:20] == b"CMYK":
        inks, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, inks, srgb, outputMode="RGB")
        if converted is not None:
            return converted, srgb_profile()
    return image.convert("RGB"), None
