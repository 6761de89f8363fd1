"""Bytes of a file → `ImageData`. Pillow reads all 8-bit images and all metadata; it cannot hold 16-bit colour.

16-bit PNG comes from OpenCV, 16-bit TIFF from `lsm.image.tiff16`.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from lsm.errors import InputError
from lsm.image import tiff16
from lsm.image.limits import check_scans, check_size
from lsm.image.metadata import fitting_profile, kept_exif, orientation, srgb_profile, upright
from lsm.image.pixels import ImageData

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def decode(data: bytes, max_pixels: int) -> ImageData:
    """Decode a file.

    Args:
        data: The whole file.
        max_pixels: Larger images are refused before anything is decompressed.

    Returns:
        The image, upright. A palette is expanded to grey or RGB (with alpha, if it has transparent entries) and 1-bit
        to grey, since a larger copy has colours in between; CMYK is converted to RGB through its profile.

    Raises:
        InputError: If the image is too large, has several frames, or holds numbers of another kind.
        Exception: Of any kind, from the decoders, on damaged data.
    """
    if data[:4] in tiff16.MAGIC and (image := tiff16.read_tiff16(data, max_pixels)) is not None:
        return image
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        check_size(opened.width, opened.height, max_pixels)
        if opened.format in ("JPEG", "MPO"):
            check_scans(data)
        frames = getattr(opened, "n_frames", 1)
        if frames > 1 and opened.format != "MPO":  # MPO: a camera's JPEG with previews behind the image
            raise InputError(f"holds {frames} frames or pages; save the one to upscale as a file of its own.")
        lossless = _is_lossless(data, opened)
        exif = kept_exif(opened)
        # Pillow turns a TIFF upright itself while loading, the others it leaves as stored.
        turn = 1 if opened.format == "TIFF" else orientation(opened)
        opened.load()
        if opened.format == "PNG" and data[24] == 16:
            pixels, profile = _png16(data, opened), opened.info.get("icc_profile")
        else:
            plain, profile = _plain_mode(opened)
            pixels = np.asarray(plain).reshape(plain.height, plain.width, -1)
        pixels = upright(pixels, turn)
    return ImageData(pixels, fitting_profile(profile, pixels.shape[2]), exif, lossless)


def may_have_alpha(image: Image.Image) -> bool:
    """Tell from an opened image's header whether it will decode to grey or RGB with alpha."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _is_lossless(data: bytes, image: Image.Image) -> bool:
    if image.format == "WEBP":
        return b"VP8L" in data[:4096] and b"VP8 " not in data[:4096]
    return image.format not in ("JPEG", "MPO")


def _plain_mode(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """Convert an 8-bit image to one of L, LA, RGB, RGBA, and give the profile that holds for it then."""
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK":
        return _cmyk_to_rgb(image, profile)
    if image.mode in CHANNELS and "transparency" not in image.info:
        return image, profile
    grey = image.mode in ("1", "L", "LA", "La") or (image.mode in ("P", "PA") and _has_grey_palette(image))
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"):
        raise InputError(f"holds pixels of kind {image.mode!r}; only 8- and 16-bit grey and colour can be upscaled.")
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


def _png16(data: bytes, image: Image.Image) -> np.ndarray:
    """Decode a 16-bit PNG, which Pillow has found whole, to (H, W, C) uint16."""
    transparent = image.info.get("transparency")
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.uint16)[..., None]
    else:
        import cv2

        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.dtype != np.uint16:
            raise ValueError("not a readable 16-bit PNG")
        # OpenCV gives blue, green, red, and repeats grey for files of grey with alpha (colour type 4).
        order = [0, 3] if data[25] == 4 else [2, 1, 0]
        pixels = decoded[..., order if data[25] != 6 else [2, 1, 0, 3]]
    if transparent is None:
        return pixels
    opaque = (pixels != np.asarray(transparent, np.uint16)).any(axis=2, keepdims=True)
    return np.concatenate([pixels, opaque.astype(np.uint16) * np.uint16(65535)], axis=2)
