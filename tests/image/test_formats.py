"""Formats that are read but not written, and refusals that say what a file is."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from lsm.errors import InputError, OptionError
from lsm.image.formats import is_image_name
from lsm.image.io import has_alpha, read_image, read_rgb, write_image
from lsm.image.plugins import jxl_size

RNG = np.random.default_rng(0)
SMOOTH = np.add.outer(np.arange(40) * 2, np.arange(56) * 2)[..., None].astype(np.uint8) + np.uint8([0, 9, 30])


def saved(path: Path, form: str, pixels: np.ndarray = SMOOTH, **options: object) -> Path:
    Image.fromarray(pixels).save(path, form, **options)
    return path


@pytest.mark.parametrize(
    ("name", "form", "options"),
    [
        ("a.jfif", "JPEG", {"quality": 100, "subsampling": 0}),
        ("a.avif", "AVIF", {"quality": 100}),
        ("a.jp2", "JPEG2000", {}),
        ("a.j2k", "JPEG2000", {"no_jp2": True}),
        ("a.ppm", "PPM", {}),
        ("a.tga", "TGA", {}),
        ("a.ico", "ICO", {"sizes": [(56, 40)]}),
    ],
)
def test_other_formats_are_read(tmp_path: Path, name: str, form: str, options: dict[str, object]) -> None:
    path = saved(tmp_path / name, form, **options)
    assert is_image_name(path)
    close = 3 if form in ("JPEG", "AVIF") else 0
    assert np.abs(read_rgb(path).astype(int) - SMOOTH).max() <= close


def test_grey_and_alpha_of_other_formats(tmp_path: Path) -> None:
    alpha = np.dstack([SMOOTH, SMOOTH[..., :1]])
    for name, form in (("a.tga", "TGA"), ("a.jp2", "JPEG2000"), ("a.ico", "ICO")):
        path = saved(tmp_path / name, form, alpha, **({"sizes": [(56, 40)]} if form == "ICO" else {}))
        np.testing.assert_array_equal(read_image(path).pixels, alpha)
        assert has_alpha(path)
    np.testing.assert_array_equal(
        read_image(saved(tmp_path / "a.pgm", "PPM", SMOOTH[..., 0])).pixels[..., 0], SMOOTH[..., 0]
    )


@pytest.mark.parametrize("most", [65535, 1023])
@pytest.mark.parametrize("kind", ["P5", "P6"])
def test_ppm_of_more_than_8_bits(tmp_path: Path, kind: str, most: int) -> None:
    channels = 3 if kind == "P6" else 1
    values = RNG.integers(0, most + 1, (5, 7, channels)).astype(">u2")
    (tmp_path / "a.ppm").write_bytes(f"{kind}\n# a comment\n7 5\n{most}\n".encode() + values.tobytes())
    expected = np.rint(values * (65535 / most))
    assert np.abs(read_image(tmp_path / "a.ppm").pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("name", "form"), [("a.gif", "GIF"), ("a.png", "PNG"), ("a.webp", "WEBP"), ("a.avif", "AVIF")])
def test_of_animations_the_first_frame_is_read_and_said(tmp_path: Path, name: str, form: str) -> None:
    frames = [Image.new("RGB", (32, 24), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    frames[0].save(tmp_path / name, form, save_all=True, append_images=frames[1:], duration=100)
    image = read_image(tmp_path / name)
    assert np.abs(image.rgb().astype(int) - (250, 0, 0)).max() <= 5
    assert image.frames == 3
    assert image.notes == ("the first one of 3 images",)


def test_transparent_gif_and_its_comment(tmp_path: Path) -> None:
    indices = Image.fromarray((SMOOTH[..., 0] > 90).astype(np.uint8), "P")
    indices.putpalette([200, 10, 10, 10, 10, 200])
    indices.save(tmp_path / "a.gif", transparency=0, comment=b"hello")
    image = read_image(tmp_path / "a.gif")
    np.testing.assert_array_equal(image.pixels[..., 3] == 0, SMOOTH[..., 0] <= 90)
    assert image.metadata.comment == b"hello"
    assert has_alpha(tmp_path / "a.gif")


def test_heic_by_its_plug_in(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A maker"
    heif.from_pillow(Image.fromarray(SMOOTH)).save(tmp_path / "a.heic", quality=-1, exif=exif.tobytes())
    image = read_image(tmp_path / "a.heic")
    upright = image.pixels if image.pixels.shape == SMOOTH.shape else np.rot90(image.pixels, 1)
    assert np.abs(upright.astype(int) - SMOOTH).max() <= 3
    assert image.metadata.exif is not None


def test_deep_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    deep = np.ascontiguousarray(SMOOTH.astype(np.uint16) * 257)
    heif.encode("RGB;16", (56, 40), deep.tobytes(), tmp_path / "a.heic", quality=-1)
    pixels = read_image(tmp_path / "a.heic").pixels
    assert pixels.dtype == np.uint16
    assert np.abs(pixels.astype(int) - deep).max() <= 3 * 257


def test_jpeg_xl_by_its_plug_in(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    path = saved(tmp_path / "a.jxl", "JXL", lossless=True)
    np.testing.assert_array_equal(read_image(path).pixels, SMOOTH)
    assert jxl_size(path.read_bytes()) == (56, 40)
    with pytest.raises(InputError, match="megapixels"):
        read_image(path, max_pixels=100)
    for size in ((1, 1), (256, 256), (1000, 750), (3001, 17), (16, 9)):
        blank = saved(tmp_path / "b.jxl", "JXL", np.zeros((size[1], size[0], 3), np.uint8), lossless=True)
        assert jxl_size(blank.read_bytes()) == size


@pytest.mark.parametrize(("name", "kind"), [("a.heic", "pillow-heif"), ("a.jxl", "pillow-jxl-plugin")])
def test_a_missing_plug_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    monkeypatch.setitem(__import__("sys").modules, "pillow_jxl", None)
    heads = {"a.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a.jxl": b"\xff\x0a" + bytes(20)}
    (tmp_path / name).write_bytes(heads[name])
    with pytest.raises(InputError, match=rf"{kind}: .*\[formats\]"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7 ...", "a PDF document"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"<!doctype html>", "a web page"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"PK\3\4....", "a ZIP archive"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "ISO media file, not an image"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"hello", "not a PNG, JPEG, .* or its head is damaged"),
    ],
)
def test_a_refusal_says_what_the_file_is(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=reason):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (np.zeros((4, 5), np.uint32), {}, "32-bit integers"),
        (np.zeros((4, 5), np.int16), {}, "16-bit signed integers"),
        (np.zeros((4, 5), np.complex64), {}, "complex numbers"),
        (np.full((4, 5), np.nan, np.float32), {}, "infinite or no numbers"),
        (np.full((4, 5), 7.5, np.float32), {}, r"floats from 7.5 to 7.5; they must lie in \[0, 1\]"),
        (np.zeros((4, 6), np.uint16), {"photometric": "cfa"}, "camera's sensor"),
    ],
)
def test_a_tiff_of_other_numbers_is_refused_with_them(tmp_path: Path, pixels, options, reason: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    with pytest.raises(InputError, match=reason):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_floats_are_read_and_written_back(tmp_path: Path, channels: int, dtype: type) -> None:
    pixels = RNG.random((6, 9, channels)).astype(dtype)
    options = {"photometric": "rgb" if channels > 2 else "minisblack"}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    if channels > 1:
        options["planarconfig"] = "contig"
    tifffile.imwrite(tmp_path / "a.tif", pixels if channels > 1 else pixels[..., 0], **options)
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == np.float32
    np.testing.assert_allclose(image.pixels, pixels.astype(np.float32), rtol=1e-6)
    assert write_image(tmp_path / "b.tif", image) == []
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif").reshape(pixels.shape), image.pixels)
    assert write_image(tmp_path / "b.png", image) == ["PNG cannot hold: floats."]
    assert np.abs(read_image(tmp_path / "b.png").pixels / 65535 - image.pixels).max() < 1e-5


def test_a_stated_range_of_floats_is_kept(tmp_path: Path) -> None:
    pixels = (RNG.random((6, 9, 3)) * 300 - 100).astype(np.float32)
    bounds = [(340, "f", 3, (-100.0,) * 3, True), (341, "f", 3, (200.0,) * 3, True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=bounds)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image.pixels, (pixels + 100) / 300, atol=1e-6)
    write_image(tmp_path / "b.tif", image)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), pixels, atol=1e-4)
    assert tifffile.TiffFile(tmp_path / "b.tif").pages[0].tags["SMaxSampleValue"].value == (200.0,) * 3


def test_an_icon_whose_directory_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("1", (9000, 9000)).save(file, "PNG")
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(file.getvalue()), 22)
    (tmp_path / "a.ico").write_bytes(b"\0\0\1\0\1\0" + entry + file.getvalue())
    with pytest.raises(InputError, match="81 megapixels"):
        read_image(tmp_path / "a.ico", max_pixels=1_000_000)


def test_only_known_formats_are_written(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Unknown image extension"):
        write_image(tmp_path / "a.gif", SMOOTH)
    assert not is_image_name(Path("a.txt"))
