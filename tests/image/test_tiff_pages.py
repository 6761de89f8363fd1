"""TIFFs of several pages: thumbnails are none, all pages can be read, upscaled and written."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from lsm.errors import InputError, OptionError
from lsm.image.exif import EXIF_IFD
from lsm.image.io import read_image, read_pages, write_image, write_pages
from lsm.image.pixels import ImageData

RNG = np.random.default_rng(0)
PAGES = [RNG.integers(0, 256, (9, 12 + n, 3), np.uint8) for n in range(3)]


@pytest.mark.parametrize("kind", [1, 4])
def test_a_thumbnail_or_mask_is_no_page(tmp_path: Path, kind: int) -> None:
    for order in ((0, kind), (kind, 0)):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for number, subfiletype in enumerate(order):
                if subfiletype == 4:  # of which tifffile writes bits only
                    file.write(PAGES[number][..., 0] > 99, photometric="mask", subfiletype=subfiletype)
                else:
                    file.write(PAGES[number], photometric="rgb", subfiletype=subfiletype)
        image = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(image.pixels, PAGES[order.index(0)])
        assert image.frames == 1


def test_several_pages_are_refused_whole_and_read_one_by_one(tmp_path: Path) -> None:
    pages = [Image.fromarray(page) for page in PAGES]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    with pytest.raises(InputError, match="holds 3 pages; upscale all of them"):
        read_image(tmp_path / "a.tif")
    found = list(read_pages(tmp_path / "a.tif"))
    assert [page.frames for page in found] == [3, 3, 3]
    for page, expected in zip(found, PAGES, strict=True):
        np.testing.assert_array_equal(page.pixels, expected)


def test_pages_of_every_kind_and_orientation(tmp_path: Path) -> None:
    grey, deep = PAGES[0][..., 0], PAGES[1].astype(np.uint16) * 257
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(grey, photometric="minisblack", extratags=[(274, "H", 1, 6, True), (271, "s", 0, b"one", True)])
        file.write(deep, photometric="rgb", extratags=[(274, "H", 1, 3, True), (271, "s", 0, b"two", True)])
        file.write(PAGES[2] / np.float32(255), photometric="rgb")
    first, second, third = read_pages(tmp_path / "a.tif")
    np.testing.assert_array_equal(first.pixels[..., 0], np.rot90(grey, -1))
    np.testing.assert_array_equal(second.pixels, np.rot90(deep, 2))
    np.testing.assert_allclose(third.pixels, PAGES[2] / np.float32(255))
    makers = []
    for page in (first, second):
        block = Image.Exif()
        block.load(page.metadata.exif)
        makers.append(block[0x010F])
    assert makers == ["one", "two"]


def test_pages_are_written_as_they_come(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    exif.get_ifd(EXIF_IFD)[0x9003] = "2020:01:02 03:04:05"
    Image.fromarray(PAGES[0]).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300), comment=b"no place for it")
    photo = read_image(tmp_path / "a.jpg")
    images = [photo.with_pixels(PAGES[0]), ImageData(PAGES[1][..., :1]), photo.with_pixels(PAGES[2].astype(np.uint16))]
    assert write_pages(tmp_path / "b.tif", iter(images), 3) == ["TIFF cannot hold: comment."]
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert len(file.pages) == 3
        for page, image in zip(file.pages, images, strict=True):
            np.testing.assert_array_equal(page.asarray().reshape(image.pixels.shape), image.pixels)
        assert [("ExifTag" in page.tags) for page in file.pages] == [True, False, True]
    with Image.open(tmp_path / "b.tif") as back:
        dates = [page.getexif().get_ifd(EXIF_IFD).get(0x9003) for page in ImageSequence.Iterator(back)]
    assert dates == ["2020:01:02 03:04:05", None, "2020:01:02 03:04:05"]
    with pytest.raises(OptionError, match=r"end the name with \.tif"):
        write_pages(tmp_path / "b.png", images, 3)


def test_a_failure_among_the_pages_leaves_no_file(tmp_path: Path) -> None:
    def images():
        yield ImageData(PAGES[0])
        raise InputError("no memory")

    with pytest.raises(InputError, match="no memory"):
        write_pages(tmp_path / "b.tif", images(), 2)
    assert not list(tmp_path.iterdir())


def test_another_file_has_one_page(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", PAGES[0])
    (page,) = read_pages(tmp_path / "a.png")
    np.testing.assert_array_equal(page.pixels, PAGES[0])
