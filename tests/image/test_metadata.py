"""What a file says of itself survives, or is named as lost; read back by other software than what wrote it."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from lsm.image.exif import EXIF_IFD, GPS_IFD
from lsm.image.io import read_image, write_image
from lsm.image.jpeg import iptc_segment
from lsm.image.xmp import kept_xmp

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 tiff:Orientation="6" tiff:ImageWidth="16">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A title</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
TITLE, RATING, XP_TITLE, LENS, MAKER_NOTE = 0x010E, 0x4746, 0x9C9B, 0xA434, 0x927C
IIM = b"\x1c\x02\x78" + struct.pack(">H", 9) + b"A caption"
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG as cameras and Windows make them."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[TITLE], exif[RATING] = 6, "Canon", "A house", 5
    exif[XP_TITLE] = "Alter Hof".encode("utf-16-le") + b"\0\0"
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 300.0, 2
    exif.get_ifd(EXIF_IFD).update({0x9003: "2020:01:02 03:04:05", LENS: "EF50mm", MAKER_NOTE: b"offsets"})
    exif.get_ifd(EXIF_IFD)[0x829A] = IFDRational(1, 250)
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (48.0, 8.0, 15.5), 3: "E", 4: (11.0, 34.0, 30.0)})
    path = tmp_path / "photo.jpg"
    extra = iptc_segment(IIM)
    Image.fromarray(PIXELS).save(
        path, exif=exif, xmp=XMP, comment=b"A comment", quality=90, extra=extra, dpi=(300, 300)
    )
    return path


def copied(source: Path, extension: str) -> tuple[Path, list[str]]:
    target = source.with_name(f"copy.{extension}")
    return target, write_image(target, read_image(source))


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_a_photos_exif_and_gps_survive(photo: Path, extension: str) -> None:
    target, _ = copied(photo, extension)
    with Image.open(target) as image:
        exif = image.getexif()
        assert (exif[0x010F], exif[TITLE], exif[RATING]) == ("Canon", "A house", 5)
        assert bytes(exif[XP_TITLE]).decode("utf-16-le").rstrip("\0") == "Alter Hof"
        assert exif.get(0x0112, 1) == 1
        camera, gps = exif.get_ifd(EXIF_IFD), exif.get_ifd(GPS_IFD)
        assert (camera[0x9003], camera[LENS], float(camera[0x829A])) == ("2020:01:02 03:04:05", "EF50mm", 0.004)
        assert MAKER_NOTE not in camera
        assert (gps[1], gps[2], gps[4]) == ("N", (48.0, 8.0, 15.5), (11.0, 34.0, 30.0))
        assert round(float(exif[0x011A])) == 300


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_exiftool_reads_what_survived(photo: Path, extension: str, exiftool) -> None:
    target, _ = copied(photo, extension)
    expected = {
        "ExifIFD:LensModel": "EF50mm",
        "ExifIFD:ExposureTime": "1/250",
        "IFD0:XPTitle": "Alter Hof",
        "IFD0:Rating": 5,
        "IFD0:ImageDescription": "A house",
        "IFD0:XResolution": 300,
        "Composite:GPSPosition": "48 deg 8' 15.50\" N, 11 deg 34' 30.00\" E",
        "XMP-dc:Title": "A title",
        "XMP-tiff:ImageWidth": None,
        "ExifTool:Warning": None,
    }
    if extension in ("jpg", "tif"):
        expected["IPTC:Caption-Abstract"] = "A caption"
    found = exiftool(target)
    assert {tag: found.get(tag) for tag in expected} == expected


def test_what_a_format_cannot_hold_is_named_in_one_line(photo: Path) -> None:
    assert copied(photo, "jpg")[1] == []
    assert copied(photo, "png")[1] == ["PNG cannot hold: IPTC."]
    assert copied(photo, "webp")[1] == ["WEBP cannot hold: IPTC, comment."]
    assert copied(photo, "tif")[1] == ["TIFF cannot hold: comment."]
    assert copied(photo, "bmp")[1] == ["BMP cannot hold: EXIF, XMP, IPTC, comment."]
    assert write_image(photo.with_name("a.jpg"), PIXELS.astype(np.uint16)) == ["JPEG cannot hold: 16 bits a sample."]
    assert write_image(photo.with_name("b.jpg"), PIXELS) == []


def test_comments_survive_in_jpeg_and_png(photo: Path) -> None:
    with Image.open(copied(photo, "jpg")[0]) as image:
        assert image.info["comment"] == b"A comment"
    with Image.open(copied(photo, "png")[0]) as image:
        image.load()
        assert image.info["Comment"] == "A comment"


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp", "bmp"])
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "bmp"])
def test_the_resolution_survives_between_all_formats(tmp_path: Path, kind: str, extension: str) -> None:
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 300.0, 150.0, 2
    options = {"exif": exif} if kind == "webp" else {"dpi": (300, 150)}
    Image.fromarray(PIXELS).save(tmp_path / f"a.{kind}", **options)
    target, lost = copied(tmp_path / f"a.{kind}", extension)
    assert lost == []
    with Image.open(target) as image:
        found = image.info.get("dpi") or (image.getexif()[0x011A], image.getexif()[0x011B])
        assert tuple(round(float(value)) for value in found) == (300, 150)


def test_resolution_of_16_bits_of_alpha_and_in_centimetres(tmp_path: Path) -> None:
    wide = np.zeros((4, 5, 4), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", wide, photometric="rgb", resolution=(100, 50), resolutionunit="CENTIMETER")
    for extension in ("png", "bmp"):
        with Image.open(copied(tmp_path / "a.tif", extension)[0]) as image:
            assert tuple(map(round, image.info["dpi"])) == (254, 127)


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp", "bmp"])
@pytest.mark.parametrize("value", [(0, 0), (-72, 1), (2**31 - 1, 1)], ids=["nan", "negative", "huge"])
def test_a_damaged_resolution_is_none(tmp_path: Path, value: tuple[int, int], extension: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", dpi=(300, 300))
    data = (tmp_path / "a.tif").read_bytes()
    stated = struct.pack("<II", 300, 1)
    assert data.count(stated) == 2
    signed = data.replace(struct.pack("<HHI", 0x011A, 5, 1), struct.pack("<HHI", 0x011A, 10, 1))  # SRATIONAL
    (tmp_path / "a.tif").write_bytes(signed.replace(stated, struct.pack("<ii", *value)))
    assert read_image(tmp_path / "a.tif").metadata.dpi is None
    with Image.open(copied(tmp_path / "a.tif", extension)[0]) as image:
        assert np.array_equal(np.asarray(image), PIXELS) or extension in ("jpg", "webp")


def test_a_file_without_a_resolution_gets_none(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").metadata.dpi is None
    with Image.open(copied(tmp_path / "a.jpg", "jpg")[0]) as image:
        assert "dpi" not in image.info or image.info["jfif_unit"] == 0


def test_the_size_on_paper_can_be_kept(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", dpi=(100, 100))
    image = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png", image.with_metadata(image.metadata.with_dpi_scaled(4)))
    assert tuple(map(round, Image.open(tmp_path / "b.png").info["dpi"])) == (400, 400)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_texts_and_colour_chunks_survive_at_every_depth(tmp_path: Path, dtype: type) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a tree\nSeed: 1")
    texts.add_itxt("Title", "Häuser 家", "de", "Titel")
    texts.add_text("Comment", "x" * 2000, zip=True)
    texts.add(b"gAMA", struct.pack(">I", 100000))
    texts.add(b"cICP", bytes([12, 13, 0, 1]))
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=texts)
    image = read_image(tmp_path / "a.png")
    assert write_image(tmp_path / "b.png", image.with_pixels(PIXELS.astype(dtype))) == []
    with Image.open(tmp_path / "b.png") as back:
        back.load()
        assert back.text["parameters"] == "a tree\nSeed: 1"
        assert (back.text["Title"], back.text["Title"].lang, back.text["Title"].tkey) == ("Häuser 家", "de", "Titel")
        assert back.text["Comment"] == "x" * 2000
        assert back.info["gamma"] == 1.0
        assert b"A title" in back.info["xmp"]
    assert b"\0\0\0\4cICP\x0c\x0d\0\1" in (tmp_path / "b.png").read_bytes()
    expected = ["JPEG cannot hold: text Comment, Title, parameters, colour chunk gAMA, cICP."]
    assert write_image(tmp_path / "b.jpg", image) == expected


def test_chunks_that_say_srgb_are_no_loss(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 45455))
    chunks.add(b"sRGB", b"\0")
    chunks.add(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=chunks)
    assert len(read_image(tmp_path / "a.png").metadata.colour_chunks) == 3
    assert copied(tmp_path / "a.png", "jpg")[1] == []


def test_xmp_keeps_all_but_what_is_stale() -> None:
    kept = kept_xmp(XMP)
    assert kept is not None
    assert b'tiff:Orientation="1"' in kept
    assert b"ImageWidth" not in kept
    assert b"A title" in kept
    element = b"<a><tiff:Orientation>8</tiff:Orientation><exif:PixelXDimension>9</exif:PixelXDimension>\0\0"
    assert kept_xmp(element) == b"<a><tiff:Orientation>1</tiff:Orientation>"
    assert kept_xmp(b"\0") is None


def test_layouts_that_programs_keep_in_descriptions_are_left_out(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS)  # writes its shape as a description
    target, _ = copied(tmp_path / "a.tif", "tif")
    with tifffile.TiffFile(target) as file:
        assert file.pages[0].tags.get("ImageDescription") is None


def test_metadata_of_16_bit_and_float_tiffs(photo: Path, tmp_path: Path) -> None:
    image = read_image(photo)
    for dtype in (np.uint16, np.float32):
        write_image(tmp_path / "a.tif", image.with_pixels(np.zeros((4, 5, 2), dtype)))
        target, lost = copied(tmp_path / "a.tif", "tif")
        assert lost == []
        with tifffile.TiffFile(target) as file:
            tags = file.pages[0].tags
            assert tags["ExifTag"].value["LensModel"] == "EF50mm"
            assert tags["GPSTag"].value["GPSLatitudeRef"] == "N"
            assert b"A title" in tags["XMP"].value
            assert tags["XResolution"].value == (300, 1)
            assert [tag.code for tag in tags] == sorted(tag.code for tag in tags)


def test_damaged_blocks_do_not_hinder_the_pixels(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert image.metadata.exif is None
