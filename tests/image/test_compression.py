"""Quality and chroma subsampling follow the input; scans and what lies behind a JPEG's image are told apart."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin
from stress.bombs import progressive_with

from lsm.errors import InputError
from lsm.image import webp
from lsm.image.io import read_image, write_image
from lsm.image.jpeg import layout
from lsm.image.pixels import Compression, ImageData

PHOTO = np.add.outer(np.arange(64) * 2, np.arange(80))[..., None].astype(np.uint8) // np.uint8([1, 2, 3])
PHOTO = PHOTO + np.random.default_rng(0).integers(0, 9, PHOTO.shape, np.uint8)


def saved(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 75, 88, 95, 100])
@pytest.mark.parametrize(("number", "subsampling"), list(enumerate(["4:4:4", "4:2:2", "4:2:0"])))
def test_a_jpegs_quality_and_subsampling_are_found(tmp_path: Path, quality: int, number: int, subsampling: str) -> None:
    (tmp_path / "a.jpg").write_bytes(saved("JPEG", quality=quality, subsampling=number))
    found = read_image(tmp_path / "a.jpg").compression
    assert (found.quality, found.subsampling, found.lossless) == (quality, subsampling, False)


def test_a_copy_of_a_jpeg_has_its_quality_and_size(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved("JPEG", quality=80, subsampling=2))
    write_image(tmp_path / "b.jpg", read_image(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "a.jpg") as first, Image.open(tmp_path / "b.jpg") as second:
        assert first.quantization == second.quantization
        assert JpegImagePlugin.get_sampling(second) == 2
    sizes = [(tmp_path / name).stat().st_size for name in ("a.jpg", "b.jpg")]
    assert 0.9 < sizes[1] / sizes[0] < 1.1


def test_qualities_asked_for_and_the_lowest_taken_over(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(saved("JPEG", quality=20))
    image = read_image(tmp_path / "a.jpg")
    for asked, expected in ((None, 75), (30, 30), (98, 98)):
        write_image(tmp_path / "b.jpg", image.with_compression(asked))
        assert read_image(tmp_path / "b.jpg").compression.quality == expected
    write_image(tmp_path / "b.jpg", ImageData(PHOTO))  # nothing is known of it
    assert read_image(tmp_path / "b.jpg").compression == Compression(False, 95, "4:4:4", estimated=True)
    write_image(tmp_path / "b.jpg", ImageData(PHOTO).with_compression(subsampling="4:2:2"))
    assert read_image(tmp_path / "b.jpg").compression.subsampling == "4:2:2"
    with pytest.raises(InputError, match="Quality 101"):
        image.with_compression(101)
    with pytest.raises(InputError, match="4:1:7"):
        image.with_compression(subsampling="4:1:7")


@pytest.mark.parametrize("quality", [5, 30, 60, 75, 90, 100])
def test_a_webps_quality_is_found(tmp_path: Path, quality: int) -> None:
    data = saved("WEBP", quality=quality)
    found = webp.quality_of(data)
    assert found is not None
    assert abs(found - quality) <= 10  # libwebp shifts the quantiser of each segment
    assert webp.quality_of(saved("WEBP", lossless=True)) is None
    assert webp.quality_of(data[:31]) is None


def test_a_webp_stays_of_its_kind_unless_a_quality_is_asked_for(tmp_path: Path) -> None:
    for options, asked, lossless in (
        ({"lossless": True}, None, True),
        ({"quality": 80}, None, False),
        ({"lossless": True}, 80, False),
    ):
        (tmp_path / "a.webp").write_bytes(saved("WEBP", **options))
        write_image(tmp_path / "b.webp", read_image(tmp_path / "a.webp").with_compression(asked))
        assert read_image(tmp_path / "b.webp").compression.lossless == lossless
        if not lossless:
            assert abs((webp.quality_of((tmp_path / "b.webp").read_bytes()) or 0) - 80) <= 8


def test_a_motion_photo_is_read_and_its_film_named(tmp_path: Path) -> None:
    jpeg = saved("JPEG")
    film = b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\3\1" * 5000
    (tmp_path / "a.jpg").write_bytes(jpeg + film)
    image = read_image(tmp_path / "a.jpg")
    np.testing.assert_array_equal(image.pixels, np.asarray(Image.open(io.BytesIO(jpeg))))
    assert image.notes == (f"a motion photo's film ({len(film)} bytes) behind the image was left out",)
    (tmp_path / "b.jpg").write_bytes(jpeg + b"\xff\xda" * 5000)
    assert "of another kind (10000 bytes)" in read_image(tmp_path / "b.jpg").notes[0]
    for harmless in (b"\0" * 500, b"\xff\xff", jpeg):
        (tmp_path / "c.jpg").write_bytes(jpeg + harmless)
        assert read_image(tmp_path / "c.jpg").notes == ()


def test_the_layout_ends_where_the_image_does() -> None:
    for data in (
        saved("JPEG"),
        saved("JPEG", progressive=True),
        saved("JPEG", restart_marker_blocks=1, comment=b"\xff\xd9"),
    ):
        found = layout(data + b"\xff\xd8\xff\xda rest \xff\xd9")
        assert found.end == len(data)
        assert found.scans == data.count(b"\xff\xda")
        assert layout(data[:-2]).end == len(data) - 2
    assert layout(progressive_with(700, side=16)).scans > 500
    assert layout(b"\xff\xd8\xff\xe0").scans == 0
