"""Damaged images by the hundred, small files that ask for much, and every size, kind and name of whole ones."""

import os
import random
import string
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stress.bombs import image_bombs, progressive_with
from stress.mutants import mutate, seeds

from lsm.batch.plan import Job, Naming, plan
from lsm.batch.run import upscale_files
from lsm.errors import InputError
from lsm.image.io import read_image, write_image
from lsm.image.pixels import ImageData
from lsm.image.resample import resized
from lsm.inference.options import UpscaleOptions

SEEDS = seeds()


@given(st.sampled_from(sorted(SEEDS)), st.sampled_from(sorted(SEEDS)), st.integers(0, 2**32))
def test_damaged_images_are_read_or_refused_in_one_line(tmp_path_factory, capfd, name, other, seed) -> None:
    path = tmp_path_factory.getbasetemp() / name
    data = mutate(SEEDS[name], SEEDS[other], random.Random(seed))
    path.write_bytes(data)
    try:
        assert read_image(path).pixels.size > 0
    except InputError as error:
        assert "\n" not in str(error)
        assert name in str(error)
    assert path.read_bytes() == data
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "data"), image_bombs(1 << 25).items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_bombs_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        read_image(tmp_path / name)


def test_images_near_the_limits_of_bombs_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(progressive_with(400, side=16))
    assert read_image(tmp_path / "a.jpg").pixels.shape == (16, 16, 1)
    write_image(tmp_path / "flat.tif", np.zeros((1000, 1000, 3), np.uint16))  # deflates a thousandfold
    assert read_image(tmp_path / "flat.tif").pixels.shape == (1000, 1000, 3)


sides = st.one_of(st.integers(1, 40), st.sampled_from([1, 2, 3, 63, 64, 65, 5000]))


@given(
    size=st.tuples(sides, sides).filter(lambda size: size[0] * size[1] <= 15_000),
    channels=st.integers(1, 4),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    extension=st.sampled_from(["png", "tif", "webp", "bmp", "jpg"]),
    seed=st.integers(0, 9),
)
def test_every_size_kind_and_depth_survives_a_file(tmp_path_factory, size, channels, dtype, extension, seed) -> None:
    path = tmp_path_factory.getbasetemp() / f"kind.{extension}"
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(seed).integers(0, top, (*size, channels), dtype=dtype, endpoint=True)
    if extension == "jpg" and channels in (2, 4):
        with pytest.raises(InputError, match="no transparency"):
            write_image(path, pixels)
        return
    write_image(path, ImageData(pixels))
    back = read_image(path).pixels
    assert back.shape[:2] == size
    if extension in ("png", "tif"):
        np.testing.assert_array_equal(back, pixels)
    elif extension != "jpg":
        eight = pixels if dtype == np.uint8 else np.rint(pixels / 257.0)
        np.testing.assert_array_equal(back[..., :1], eight[..., :1])


class Nearest:
    """Stands in for an upscaler: what matters here are the files."""

    options = UpscaleOptions()
    choice = None

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        return 2 * height, 2 * width

    def upscale_image(self, image: ImageData, progress: object) -> ImageData:
        height, width = image.pixels.shape[:2]
        return image.with_pixels(resized(image.pixels, 2 * height, 2 * width, image.pixels.dtype))


letters = st.text(
    st.sampled_from(string.ascii_letters + "  ..-_'\"[]{}*?$%;&éß日本😀\t\x07\udcff"), min_size=1, max_size=60
)
names = st.one_of(letters, st.sampled_from(["x" * 200, "x" * 250, "a.b.c", "-o", "con", "é" * 120]))


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems take fewer names")
@given(
    st.lists(names.filter(lambda name: not name.startswith(".")), min_size=1, max_size=4, unique=True), st.booleans()
)
def test_every_name_and_tree_is_upscaled_or_named(tmp_path_factory, stems: list[str], linked: bool) -> None:
    folder = tmp_path_factory.mktemp("names")
    source = folder / "in"
    (source / "deep" / "deeper").mkdir(parents=True)
    for number, stem in enumerate(stems):
        place = source / ("deep/deeper" if number % 2 else "")
        write_image(place / f"{stem}.png", np.full((3, 4, 3), number, np.uint8))
    if linked:
        (source / "deep" / "link").symlink_to("deeper")
        (source / "deep" / "loop").symlink_to(source)
    jobs, _ = plan([str(source)], Naming(folder / "out"))
    assert sorted(os.path.realpath(job.source) for job in jobs) == sorted(
        os.path.realpath(path) for path in source.rglob("*.png")
    )
    summary = upscale_files(jobs, Nearest())  # type: ignore[arg-type]
    too_long = [job for job in jobs if len(os.fsencode(job.target.name)) > 255]
    assert [job for job, _ in summary.failed] == too_long
    assert all("too long" in reason and "\n" not in reason for _, reason in summary.failed)
    for job in summary.done:
        assert read_image(job.target).pixels[0, 0, 0] == read_image(job.source).pixels[0, 0, 0]
    assert not list((folder / "out").rglob("*.part"))


def test_linked_folders_are_searched_once_each(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("in/a.png", "in/sub/b.png", "elsewhere/c.png"):
        write_image(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "sub" / "loop").symlink_to(tmp_path / "in")
    jobs, _ = plan([str(tmp_path / "in")], Naming(tmp_path / "out"))
    assert [job.target.relative_to(tmp_path / "out").as_posix() for job in jobs] == [
        "a_out.png",
        "link/c_out.png",
        "sub/b_out.png",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    write_image(tmp_path / "a.jpg", np.zeros((2, 2, 3), np.uint8))
    jobs, _ = plan([str(tmp_path)], Naming(tmp_path / "out", ext="jpg"))
    summary = upscale_files(jobs, Nearest())  # type: ignore[arg-type]
    assert [job.source.name for job in summary.done] == ["a.jpg"]
    assert "no plain file" in summary.failed[0][1]


def test_an_output_that_appears_meanwhile_is_left(tmp_path: Path) -> None:
    class Late(Nearest):
        def upscale_image(self, image: ImageData, progress: object) -> ImageData:
            (tmp_path / "b.png").write_text("somebody's")
            return super().upscale_image(image, progress)

    write_image(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    for expected in ("another run", "another run"):
        summary = upscale_files([Job(tmp_path / "a.png", tmp_path / "b.png")], Late())  # type: ignore[arg-type]
        assert expected in summary.failed[0][1]
    assert (tmp_path / "b.png").read_text() == "somebody's"
    assert not upscale_files([Job(tmp_path / "a.png", tmp_path / "b.png", replace=True)], Late()).failed  # type: ignore[arg-type]
