"""Bytes of a file → `Picture`. Pillow reads all 8-bit pictures and all metadata; it cannot hold 16-bit colour.

16-bit PNG comes from OpenCV, 16-bit TIFF from tifffile, which alone gets planar layouts and grey with alpha right, and
where tifffile lacks the decompressor (LZW), from OpenCV.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from lsm.errors import InputError
from lsm.inference.metadata import fitting_profile, kept_exif, orientation, srgb_profile, upright
from lsm.inference.picture import Picture

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def decode(data: bytes, max_pixels: int) -> Picture:
    """Decode a file.

    Args:
        data: The whole file.
        max_pixels: Larger pictures are refused before anything is decompressed.

    Returns:
        The picture, upright. A palette is expanded to grey or RGB (with alpha, if it has transparent entries) and 1-bit
        to grey, since a larger copy has colours in between; CMYK is converted to RGB through its profile.

    Raises:
        InputError: If the picture is too large, has several frames, or holds numbers of another kind.
        Exception: Of any kind, from the decoders, on damaged data.
    """
    if data[:4] in TIFF_MAGIC and (picture := _decode_tiff16(data, max_pixels)) is not None:
        return picture
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        check_size(image.width, image.height, max_pixels)
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # MPO: a camera's JPEG with previews behind the picture
            raise InputError(f"holds {frames} frames or pages; save the one to upscale as a file of its own.")
        lossless = _is_lossless(data, image)
        exif = kept_exif(image)
        # Pillow turns a TIFF upright itself while loading, the others it leaves as stored.
        turn = 1 if image.format == "TIFF" else orientation(image)
        image.load()
        if image.format == "PNG" and data[24] == 16:
            pixels, profile = _png16(data, image), image.info.get("icc_profile")
        else:
            plain, profile = _plain_mode(image)
            pixels = np.asarray(plain).reshape(plain.height, plain.width, -1)
        pixels = upright(pixels, turn)
    return Picture(pixels, fitting_profile(profile, pixels.shape[2]), exif, lossless)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture with more pixels than allowed, before it is decompressed."""
    if width * height > max_pixels:
        raise InputError(
            f"{width}×{height} is {width * height / 1e6:.0f} megapixels, more than the limit of {max_pixels / 1e6:.0f} "
            f"that guards against decompression bombs; raise it (--max-megapixels) if the file is trusted."
        )


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


def _decode_tiff16(data: bytes, max_pixels: int) -> Picture | None:
    """Decode a TIFF of 16-bit integers; none if it holds another kind, which is left to Pillow."""
    import tifffile

    try:
        file = tifffile.TiffFile(io.BytesIO(data))
    except tifffile.TiffFileError:
        return None
    with file:
        page: Any = file.pages[0]
        if page.bitspersample != 16 or page.sampleformat != 1 or page.photometric not in (0, 1, 2):
            return None
        check_size(page.imagewidth, page.imagelength, max_pixels)
        if len(file.pages) > 1:
            raise InputError(f"holds {len(file.pages)} pages; save the one to upscale as a file of its own.")
        pixels = _tiff16_pixels(page, data)
        profile = page.tags.valueof("InterColorProfile")
    try:
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
            exif = kept_exif(image)
    except Image.UnidentifiedImageError:  # grey with alpha
        exif = None
    return Picture(pixels, fitting_profile(profile, pixels.shape[2]), exif)


def _tiff16_pixels(page: Any, data: bytes) -> np.ndarray:
    """Give the pixels of a 16-bit page, (H, W, C) uint16, upright, black as zero, alpha straight."""
    colours = 3 if page.photometric == 2 else 1
    channels = colours + (page.samplesperpixel > colours)
    try:
        pixels = page.asarray()
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, 2)
        pixels = upright(pixels.reshape(*pixels.shape[:2], -1)[..., :channels], page.tags.valueof("Orientation") or 1)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        pixels = _tiff16_by_opencv(page, data, channels)
    if page.photometric == 0:
        pixels = np.concatenate([65535 - pixels[..., :1], pixels[..., 1:]], axis=2)
    premultiplied = channels > colours and tuple(page.extrasamples)[:1] == (1,)
    return _straight(pixels) if premultiplied else pixels


def _tiff16_by_opencv(page: Any, data: bytes, channels: int) -> np.ndarray:
    """Decode what tifffile has no decompressor for. OpenCV turns the picture upright itself."""
    import cv2

    orders = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}
    if page.planarconfig == 2 or page.photometric == 0 or channels != page.samplesperpixel or channels not in orders:
        raise InputError(f"holds 16-bit {page.compression.name} data in an unusual layout; save it uncompressed.")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16:
        raise ValueError("not a readable 16-bit TIFF")
    return np.ascontiguousarray(decoded.reshape(*decoded.shape[:2], -1)[..., orders[channels]])


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Divide colour by alpha, (H, W, C) uint16."""
    alpha = pixels[..., -1:].astype(np.float64)
    colour = np.divide(pixels[..., :-1] * 65535.0, alpha, out=np.zeros(pixels[..., :-1].shape), where=alpha > 0)
    return np.concatenate([np.minimum(np.rint(colour), 65535).astype(np.uint16), pixels[..., -1:]], axis=2)
