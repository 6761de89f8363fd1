"""How outputs are made: exact sizes, quality, resolution, pages, and what is said of them."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import Tensor, nn

from lsm.arch import LSMConfig
from lsm.batch.outputs import OutputOptions
from lsm.batch.plan import Job, Naming, count_others, plan
from lsm.batch.run import Callbacks, Summary, upscale_files
from lsm.errors import InputError, OptionError
from lsm.image.io import read_image, write_image
from lsm.image.pixels import ImageData
from lsm.image.remote import any_path
from lsm.image.resample import resized
from lsm.inference.upscaler import Upscaler

POSIX = os.name == "posix"
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


class Repeat(nn.Module):
    config = LSMConfig(upscale=2)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        return image.repeat_interleave(2, 2).repeat_interleave(2, 3) * self.weight


def run(*jobs: Job) -> tuple[Summary, list[str]]:
    said: list[str] = []
    callbacks = Callbacks(finished=lambda job, text, good: said.append(text))
    return upscale_files(jobs, Upscaler(Repeat(), device="cpu", tile=0), callbacks=callbacks), said


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (24, 32)),
        ({"width": 100}, (75, 100)),
        ({"height": 9}, (9, 12)),
        ({"width": 40, "height": 40}, (30, 40)),
        ({"width": 40, "height": 40, "fit": "fill"}, (40, 40)),
        ({"width": 41, "height": 7, "fit": "fill"}, (7, 41)),
        ({"max_side": 20}, (15, 20)),
        ({"max_side": 2000}, (24, 32)),
        ({"width": 400, "max_side": 8}, (6, 8)),
        ({"width": 30, "height": 40, "fit": "fill", "max_side": 20}, (20, 15)),
        ({"width": 1, "height": 9999, "fit": "fill", "max_side": 1}, (1, 1)),
    ],
)
def test_sizes(options: dict[str, object], size: tuple[int, int]) -> None:
    wanted = OutputOptions(**options)  # type: ignore[arg-type]
    source, upscaled = ImageData(PIXELS), ImageData(PIXELS.repeat(2, 0).repeat(2, 1))
    assert wanted.size(24, 32) == size
    result = wanted.apply(upscaled, source).pixels
    assert result.shape[:2] == size
    if options.get("fit") != "fill":
        np.testing.assert_array_equal(
            result, upscaled.pixels if size == (24, 32) else resized(upscaled.pixels, *size, result.dtype)
        )


def test_filling_cuts_both_sides_alike() -> None:
    ramp = ImageData(np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3)))
    result = OutputOptions(width=100, height=100, fit="fill").apply(ramp, ramp).pixels
    np.testing.assert_array_equal(result[0, :, 0], np.arange(50, 150))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"width": 0}, "`width` must be at least 1"),
        ({"fit": "stretch"}, "fit"),
        ({"fit": "fill", "width": 9}, "needs a width and a height"),
        ({"quality": 0}, "Quality 0"),
        ({"quality": 101}, "Quality 101"),
        ({"subsampling": "4:1:1"}, "4:1:1"),
        ({"dpi": "double"}, "dpi"),
        ({"pages": "some"}, "pages"),
    ],
)
def test_wrong_values_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        OutputOptions(**options)  # type: ignore[arg-type]


def test_quality_and_resolution_of_a_run(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", quality=80, dpi=(100, 100))
    how = OutputOptions(quality=40, dpi="scale")
    run(Job(tmp_path / "a.jpg", tmp_path / "b.jpg", output=how), Job(tmp_path / "a.jpg", tmp_path / "c.jpg"))
    asked, kept = read_image(tmp_path / "b.jpg"), read_image(tmp_path / "c.jpg")
    assert (asked.compression.quality, asked.metadata.dpi) == (40, (200, 200))
    assert (kept.compression.quality, kept.compression.subsampling, kept.metadata.dpi) == (80, "4:2:0", (100, 100))


def test_all_pages_are_upscaled_and_one_is_asked_for_otherwise(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in (PIXELS, PIXELS[:5]):
            file.write(page, photometric="rgb")
    every = OutputOptions(pages="all")
    summary, said = run(
        Job(tmp_path / "a.tif", tmp_path / "b.tif", output=every),
        Job(tmp_path / "a.tif", tmp_path / "b.png", output=every),
        Job(tmp_path / "a.tif", tmp_path / "c.tif"),
    )
    assert any("2 pages, 32×24" in line for line in said)
    for number, page in enumerate((PIXELS, PIXELS[:5])):
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif", key=number), page.repeat(2, 0).repeat(2, 1))
    assert [reason.split(": ")[1] for _, reason in summary.failed] == [
        "PNG holds one page, not 2; use `ext` tif.",
        "holds 2 pages; upscale all of them (`pages` all), or save one as a file of its own.",
    ]


def test_what_is_lost_or_left_out_is_said(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], comment=b"hello")
    summary, said = run(Job(tmp_path / "a.gif", tmp_path / "a.webp", note="a note"))
    first, *rest = said[0].split("\n  ")
    assert first.startswith(str(tmp_path / "a.webp"))
    assert rest == ["a note", "the first one of 2 images", "WEBP cannot hold: comment."]
    assert len(summary.animated) == 1


def test_an_output_of_another_run_is_skipped_where_existing_ones_are(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", PIXELS)
    write_image(tmp_path / "b.png", PIXELS[:3])
    for skip in (True, False):
        summary, said = run(Job(tmp_path / "a.png", tmp_path / "b.png", skip=skip))
        assert (len(summary.skipped), len(summary.failed), summary.exit_code) == ((1, 0, 0) if skip else (0, 1, 1))
        assert "exists by now; another run has made it." in said[0]
    assert read_image(tmp_path / "b.png").pixels.shape == (3, 16, 3)


def test_too_long_names_fail_before_the_work(tmp_path: Path) -> None:
    class Never(Repeat):
        def forward(self, image: Tensor) -> Tensor:
            raise AssertionError("work was begun")

    write_image(tmp_path / "a.png", PIXELS)
    deep = tmp_path
    while len(str(deep)) < 4000:  # the kernel's limit of a whole path, 4096 bytes, ends within the last name
        deep /= "y" * min(200, 4070 - len(str(deep)))
    targets = [tmp_path / f"{'x' * 260}.png", tmp_path / f"{'ü' * 126}.png", *([deep / f"{'z' * 50}.png"] * POSIX)]
    jobs = [Job(tmp_path / "a.png", target) for target in targets]
    failed = upscale_files(jobs, Upscaler(Never(), device="cpu", tile=0)).failed
    assert len(failed) == len(jobs)
    assert all("too long" in reason for _, reason in failed), failed


def test_outputs_larger_than_any_scale_are_refused_before_the_work(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", PIXELS)
    job = Job(tmp_path / "a.png", tmp_path / "b.png", output=OutputOptions(width=64 * 16 + 1))
    summary, _ = run(job)
    assert "more than 64 times as large" in summary.failed[0][1]


def test_floats_and_hard_edges_go_through_the_upscaler(tmp_path: Path) -> None:
    floats = (PIXELS / np.float32(255)).astype(np.float32)
    upscaler = Upscaler(Repeat(), device="cpu", tile=0)
    result = upscaler.upscale_image(ImageData(floats)).pixels
    np.testing.assert_allclose(result, floats.repeat(2, 0).repeat(2, 1), atol=1e-6)
    half = Upscaler(Repeat(), device="cpu", tile=0, scale=1).upscale_image(ImageData(floats)).pixels
    assert half.dtype == np.float32 and half.shape == floats.shape
    sprite = np.full((16, 16, 4), 200, np.uint8)
    sprite[..., 3] = 255 * (np.hypot(*(np.mgrid[:16, :16] - 7.5)) < 5)
    alpha = upscaler.upscale_image(ImageData(sprite)).pixels[..., 3:]
    np.testing.assert_array_equal(alpha, resized(sprite[..., 3:], 32, 32, alpha.dtype))


def test_others_are_counted_by_ending(tmp_path: Path) -> None:
    for name in ("a.png", "b.txt", "sub/c.TXT", "sub/README", "out/d.txt", ".hidden.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    everything = {".txt": 2, "no ending": 1}
    assert count_others([str(tmp_path)], tmp_path / "out") == everything
    assert count_others([str(tmp_path / "**")], tmp_path / "out") == everything
    assert count_others([str(tmp_path / "b.*"), str(tmp_path)], tmp_path / "out") == everything, "each once"
    assert count_others([f"file://{tmp_path}"], any_path(f"file://{tmp_path}/out")) == everything
    assert count_others([str(tmp_path / "b.txt")], tmp_path / "out") == {}, "what is named is tried"


def test_one_name_for_the_output(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", PIXELS)
    output = Naming(tmp_path / "out.png")
    with pytest.raises(InputError, match="no such file"):
        plan([str(tmp_path / "nosuch.png")], output)
    jobs, _ = plan([str(tmp_path / "a.*")], output)
    assert [(job.source.name, job.target.name) for job in jobs] == [("a.png", "out.png")]
    write_image(tmp_path / "ab.png", PIXELS)
    with pytest.raises(OptionError, match="several inputs"):
        plan([str(tmp_path / "a*")], output)


def test_names_that_differ_by_case_and_transparency_in_jpeg_are_said(tmp_path: Path, caplog) -> None:
    write_image(tmp_path / "a.png", np.zeros((4, 4, 4), np.uint8))
    write_image(tmp_path / "A.png", PIXELS)
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system ignores case")
    jobs, _ = plan([str(tmp_path)], Naming(tmp_path / "out", ext="jpg"))
    notes = {job.source.name: job.note for job in jobs}
    assert notes == {"A.png": "", "a.png": "written as PNG, since JPEG holds no transparency"}
    plan([str(tmp_path)], Naming(tmp_path / "out", ext="png"))
    assert "A_out.png and" in caplog.text and "differ only by case" in caplog.text
