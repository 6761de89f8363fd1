"""Files of every kind are written by other software and read by ours, and the other way round."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from lsm.errors import InputError, OptionError
from lsm.image.io import has_alpha, printable, read_image, read_rgb, write_image
from lsm.image.metadata import Metadata
from lsm.image.pixels import ImageData

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSLESS = ("png", "tif", "tiff", "bmp", "webp")
HOLDS_16 = ("png", "tif")


def noise(channels: int, dtype: type = np.uint8, height: int = 13, width: int = 21) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def png(pixels: np.ndarray, colour_type: int, extra: bytes = b"") -> bytes:
    """An independent, unfiltered 16-bit PNG."""
    height, width = pixels.shape[:2]
    lines = pixels.reshape(height, -1).astype(">u2").view(np.uint8).reshape(height, -1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), lines], axis=1)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = [
        png_chunk(b"IHDR", head),
        extra,
        png_chunk(b"IDAT", zlib.compress(lines.tobytes())),
        png_chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("extension", LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_8_bit_survives(tmp_path: Path, extension: str, channels: int) -> None:
    path, pixels = tmp_path / f"a.{extension}", noise(channels)
    write_image(path, pixels)
    back = read_image(path).pixels
    if back.shape[2] != channels:  # only where the format has no grey
        assert extension in ("webp", "bmp")
        assert channels < 3
        pixels = np.concatenate([pixels[..., :1]] * 3 + [pixels[..., 1:]], axis=2)
    np.testing.assert_array_equal(back, pixels)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image).reshape(back.shape), back)


@pytest.mark.parametrize("extension", HOLDS_16)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_survives_with_profile(tmp_path: Path, extension: str, channels: int) -> None:
    path, pixels = tmp_path / f"a.{extension}", noise(channels, np.uint16)
    profile = SRGB if channels > 2 else SRGB[:16] + b"GRAY" + SRGB[20:]
    write_image(path, ImageData(pixels, Metadata(icc_profile=profile)))
    back = read_image(path)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.pixels.dtype == np.uint16
    assert back.metadata.icc_profile == profile
    # an independent reader agrees
    if extension == "tif":
        np.testing.assert_array_equal(tifffile.imread(path).reshape(pixels.shape), pixels)
    elif channels > 2:
        order = [2, 1, 0, 3][:channels]
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., order], pixels)
    elif channels == 1:
        np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels[..., 0])


def test_16_bit_png_in_several_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsm.image.png16.BAND_BYTES", 300)
    pixels = noise(3, np.uint16)
    write_image(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_foreign_16_bit_png(tmp_path: Path, colour_type: int, channels: int) -> None:
    pixels = noise(channels, np.uint16)
    (tmp_path / "a.png").write_bytes(png(pixels, colour_type))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, pixels)


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3)])
def test_16_bit_png_with_a_transparent_colour(tmp_path: Path, colour_type: int, channels: int) -> None:
    pixels = noise(channels, np.uint16)
    key = struct.pack(f">{channels}H", *pixels[3, 5])
    (tmp_path / "a.png").write_bytes(png(pixels, colour_type, png_chunk(b"tRNS", key)))
    back = read_image(tmp_path / "a.png").pixels
    assert back.shape[2] == channels + 1
    np.testing.assert_array_equal(back[..., :-1], pixels)
    assert back[3, 5, -1] == 0
    assert (back[..., -1] == 0).sum() == 1


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_foreign_16_bit_tiff(tmp_path: Path, channels: int, layout: str, byteorder: str) -> None:
    pixels = noise(channels, np.uint16)
    stored = np.moveaxis(pixels, 2, 0) if layout == "separate" else pixels
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored if channels > 1 else pixels[..., 0],
        byteorder=byteorder,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig=layout if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_tiff_with_lzw(tmp_path: Path, channels: int) -> None:
    pixels = noise(channels, np.uint16)
    order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
    cv2.imwrite(str(tmp_path / "a.tif"), pixels[..., order], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def test_tiff_white_is_zero_and_premultiplied_alpha(tmp_path: Path) -> None:
    grey = noise(1, np.uint16)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[..., 0], 65535 - grey)
    straight = np.array([[[40000, 20000, 60000, 32768], [1, 2, 3, 65535]]], np.uint16)
    stored = straight.copy()
    stored[..., :3] = np.rint(straight[..., :3] * (straight[..., 3:] / 65535.0))
    tifffile.imwrite(tmp_path / "b.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(read_image(tmp_path / "b.tif").pixels.astype(int) - straight).max() <= 1


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_not_repeated(tmp_path: Path, extension: str, orientation: int) -> None:
    path = tmp_path / f"a.{extension}"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "A maker"
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8, :16] = 200
    Image.fromarray(pixels).save(path, exif=exif, **({"lossless": True} if extension == "webp" else {}))
    seen = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, seen)
    write_image(tmp_path / f"b.{extension}", image)
    with Image.open(tmp_path / f"b.{extension}") as again:
        assert again.size == seen.shape[1::-1]
        assert again.getexif().get(0x0112, 1) == 1
        assert again.getexif()[0x010F] == "A maker"


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_orientation_of_16_bits(tmp_path: Path, extension: str) -> None:
    pixels, path = noise(3, np.uint16), tmp_path / f"a.{extension}"
    exif = Image.Exif()
    exif[0x0112] = 6
    if extension == "png":
        path.write_bytes(png(pixels, 2, png_chunk(b"eXIf", exif.tobytes()[6:])))
    else:
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(0x0112, "H", 1, 6, True)])
    np.testing.assert_array_equal(read_image(path).pixels, np.rot90(pixels, -1))


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_profile_and_exif_survive(tmp_path: Path, extension: str) -> None:
    exif = Image.Exif()
    exif[0x8298] = "Somebody"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    Image.fromarray(noise(3)).save(tmp_path / f"a.{extension}", icc_profile=SRGB, exif=exif)
    write_image(tmp_path / f"b.{extension}", read_image(tmp_path / f"a.{extension}"))
    with Image.open(tmp_path / f"b.{extension}") as image:
        assert image.info["icc_profile"] == SRGB
        assert image.getexif()[0x8298] == "Somebody"
        if extension != "tif":  # of which Pillow wrote no EXIF directory
            assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"


def test_profile_of_another_kind_of_pixels_is_not_copied(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", ImageData(noise(1), Metadata(icc_profile=SRGB)))
    assert "icc_profile" not in Image.open(tmp_path / "a.png").info


def test_palettes_and_bits_become_the_colours_they_show(tmp_path: Path) -> None:
    colour = Image.fromarray(noise(3)).quantize(16)
    colour.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_image(tmp_path / "p.png").pixels, np.asarray(colour.convert("RGB")))
    colour.save(tmp_path / "t.png", transparency=3)
    transparent = read_image(tmp_path / "t.png").pixels
    np.testing.assert_array_equal(transparent[..., 3] == 0, np.asarray(colour) == 3)
    assert has_alpha(tmp_path / "t.png")
    assert not has_alpha(tmp_path / "p.png")
    grey = Image.fromarray(noise(1)[..., 0])
    grey.convert("P").save(tmp_path / "g.png")
    np.testing.assert_array_equal(read_image(tmp_path / "g.png").pixels[..., 0], np.asarray(grey))
    bits = grey.convert("1")
    for name in ("b.png", "b.tif", "b.bmp"):
        bits.save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels[..., 0], np.asarray(bits) * 255)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    inks = Image.fromarray(np.tile(np.array([0, 255, 255, 0], np.uint8), (16, 16, 1)), "CMYK")
    inks.save(tmp_path / "a.jpg", quality=100)
    red = read_image(tmp_path / "a.jpg").pixels
    assert red.shape == (16, 16, 3)
    assert red[..., 0].min() > 240
    assert red[..., 1:].max() < 15


def test_16_bits_are_rounded_where_the_format_has_8(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    write_image(tmp_path / "a.bmp", values)
    expected = np.rint(values / 257.0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp").pixels, expected)
    assert read_rgb(tmp_path / "a.bmp").shape == (256, 256, 3)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif", "bmp"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.7])
def test_cut_files_are_refused_in_one_line(tmp_path: Path, extension: str, part: float) -> None:
    path = tmp_path / f"a.{extension}"
    write_image(path, noise(3, height=90, width=70))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"a\.") as error:
            read_image(path)
    assert "\n" not in str(error.value)


def test_a_16_bit_png_whose_chunk_states_gigabytes_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV makes room for what a chunk states before it reads; Pillow takes these pixels for whole."""
    data = bytearray(png(noise(3, np.uint16), 2))
    place = data.index(b"IDAT") - 4
    data[place : place + 4] = struct.pack(">I", 0x7FFFFFFF)
    (tmp_path / "a.png").write_bytes(data)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("OpenCV has been asked"))
    with pytest.raises(InputError, match="the chunk 'IDAT' is cut off"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.9])
def test_cut_16_bit_files_are_refused(tmp_path: Path, extension: str, part: float) -> None:
    path = tmp_path / f"a.{extension}"
    write_image(path, noise(3, np.uint16, 90, 70))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(InputError, match=r"cut off|head is damaged"):
        read_image(path)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not an image")
    with pytest.raises(InputError, match="not a PNG"):
        read_image(tmp_path / "a.png")
    with pytest.raises(InputError, match="No such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)
    Image.fromarray(noise(1)[..., 0].astype(np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match=r"floats from 1 to 255; they must lie in \[0, 1\]"):
        read_image(tmp_path / "f.tif")
    frames = [Image.fromarray(noise(3)), Image.fromarray(255 - noise(3))]
    frames[0].save(tmp_path / "m.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="2 pages"):
        read_image(tmp_path / "m.tif")


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_bombs_are_refused_before_decoding(tmp_path: Path, extension: str) -> None:
    for dtype in (np.uint8, np.uint16):
        path = tmp_path / f"{np.dtype(dtype)}.{extension}"
        write_image(path, noise(3, dtype, 100, 100))
        with pytest.raises(InputError, match="raise `max_pixels`"):
            read_image(path, max_pixels=9_999)
        assert read_image(path, max_pixels=10_000).pixels.shape == (100, 100, 3)
    huge = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0))
    (tmp_path / "h.png").write_bytes(b"\x89PNG\r\n\x1a\n" + huge + png_chunk(b"IDAT", zlib.compress(bytes(1000))))
    with pytest.raises(InputError, match="40000 megapixels"):
        read_image(tmp_path / "h.png")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full_disk(self: Image.Image, file: io.BytesIO, *args: object, **kwargs: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(InputError, match="No space left"):
        write_image(path, noise(3))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no transparency"):
        write_image(tmp_path / "a.jpg", noise(4))
    with pytest.raises(InputError, match="16383"):
        write_image(tmp_path / "a.webp", noise(3, height=1, width=16384))
    with pytest.raises(OptionError, match="extension"):
        write_image(tmp_path / "a.gif", noise(3))
    with pytest.raises(InputError, match="uint8 or uint16"):
        write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.float64))
    assert not list(tmp_path.iterdir())


def test_names_in_other_alphabets_and_bytes(tmp_path: Path) -> None:
    for name in ("日本語 é.png", "a\udcff.png", "16\udcff.tif"):
        pixels = noise(3, np.uint16)
        write_image(tmp_path / name, pixels)
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, pixels)
        printable(tmp_path / name).encode("utf-8")
    assert printable("a\udcff\n.png") == r"a\xff\n.png"
