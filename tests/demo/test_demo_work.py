"""What the demo makes of an upload, without a browser: the command line's bytes, and images to look at."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsm.cli import main
from lsm.demo.visits import Visits
from lsm.demo.work import PREVIEW_SIDE, Choice, upscale_upload, write_previews
from lsm.errors import InputError, OptionError
from lsm.image.io import read_image, write_image
from lsm.image.metadata import srgb_profile
from lsm.image.resample import resized

RNG = np.random.default_rng(0)


def _photo(path: Path) -> None:
    """A JPEG on its side, with a profile and a name in its EXIF."""
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "A. Photographer"
    Image.fromarray(RNG.integers(0, 256, (18, 30, 3), np.uint8)).save(path, exif=exif, icc_profile=srgb_profile())


def _deep(path: Path) -> None:
    write_image(path, RNG.integers(0, 65536, (17, 23, 3), np.uint16))


def _transparent(path: Path) -> None:
    write_image(path, RNG.integers(0, 256, (17, 23, 4), np.uint8))


def _palette(path: Path) -> None:
    Image.fromarray(RNG.integers(0, 256, (17, 23, 3), np.uint8)).quantize(16).save(path)


@pytest.mark.parametrize(
    ("name", "make", "choice"),
    [
        ("a photo (1).jpg", _photo, Choice("tiny", 2, "auto", "fp32")),
        ("deep.tif", _deep, Choice("tiny", 3, "0", "fp32")),
        ("deep.png", _deep, Choice("tiny-x2", 2, "64", "bf16")),
        ("clear.webp", _transparent, Choice("tiny", 1.5, "auto", "fp32")),
        ("palette.png", _palette, Choice("tiny", 2, "auto", "fp32")),
    ],
)
def test_the_result_is_the_command_lines_byte_for_byte(tmp_path, name, make, choice):
    source, by_cli, by_demo = tmp_path / name, tmp_path / "cli", tmp_path / "demo"
    make(source)
    by_demo.mkdir()
    options = ["-n", choice.model, "-s", choice.scale, "-t", choice.tile, "--precision", choice.precision]
    with pytest.raises(SystemExit) as left:
        main(["upscale", str(source), "-o", str(by_cli), "--device", "cpu", *map(str, options)])
    assert not left.value.code
    outcome = upscale_upload(source, by_demo, choice, device="cpu")
    [expected] = by_cli.iterdir()
    assert outcome.result.name == expected.name
    assert outcome.result.read_bytes() == expected.read_bytes()
    image, shown = read_image(outcome.result).pixels, read_image(outcome.after).pixels
    assert shown.dtype == read_image(outcome.before).pixels.dtype == np.uint8
    assert shown.shape == image.shape == read_image(outcome.before).pixels.shape
    assert str(tmp_path) not in outcome.said
    assert outcome.said.startswith(f"{expected.name}  {image.shape[1]}×{image.shape[0]}")


def test_progress_counts_tiles(tmp_path):
    seen = []
    choice = Choice("tiny", 2, "64", "fp32")
    write_image(tmp_path / "b.png", RNG.integers(0, 256, (80, 90, 3), np.uint8))
    (tmp_path / "out").mkdir()
    upscale_upload(tmp_path / "b.png", tmp_path / "out", choice, device="cpu", progress=lambda *now: seen.append(now))
    assert [done for done, _ in seen] == list(range(1, seen[-1][1] + 1))
    assert len(seen) >= 4


@pytest.mark.parametrize(
    ("content", "limit", "said"),
    [
        (b"no image", 10**6, "not a PNG, JPEG, WebP, TIFF, BMP"),
        (b"", 10**6, "the file is empty"),
        (None, 100, "max_pixels"),
    ],
)
def test_errors_are_the_command_lines_without_folders(tmp_path, content, limit, said):
    source = tmp_path / "x.png"
    _transparent(source) if content is None else source.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"^x\.png: ") as caught:
        upscale_upload(source, tmp_path / "out", Choice("tiny", 2, "auto", "fp32"), device="cpu", max_pixels=limit)
    assert said in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []
    _transparent(source)
    with pytest.raises(OptionError, match="too small"):
        upscale_upload(source, tmp_path / "out", Choice("tiny", 2, "3", "fp32"), device="cpu")


def test_what_is_shown_is_bounded_and_beside_the_same_bicubic(tmp_path):
    small = RNG.integers(0, 256, (3, 1200, 3), np.uint8)
    write_image(tmp_path / "s.png", small)
    write_image(tmp_path / "l.png", RNG.integers(0, 256, (12, 4800, 3), np.uint8))
    before, after = write_previews(tmp_path / "s.png", tmp_path / "l.png", tmp_path)
    assert read_image(after).pixels.shape == (10, PREVIEW_SIDE, 3)
    np.testing.assert_array_equal(read_image(before).pixels, resized(small, 10, PREVIEW_SIDE, np.dtype(np.uint8)))


def test_a_visit_leaves_nothing_and_takes_nothing_of_others():
    visits = Visits()
    uploads = [visits.root / name / "a.png" for name in ("shared", "own")]
    for upload in uploads:
        upload.parent.mkdir()
        upload.write_bytes(b"1")
    for visit in ("one", "two"):
        visits.note_upload(visit, uploads[0])
    visits.note_upload("one", uploads[1])
    first, other = visits.new_folder("one"), visits.new_folder("two")
    second = visits.new_folder("one")
    assert not first.exists()
    (visits.root / "stray").touch()
    visits.end("one")
    assert sorted(visits.root.iterdir()) == sorted([other, uploads[0].parent])
    assert not second.exists()
    visits.end("unknown")
    visits.end("two")
    assert list(visits.root.iterdir()) == []
    assert visits.root.stat().st_mode & 0o077 == 0
    visits.close()
    assert not visits.root.exists()
