"""A run over many files: failures are named, the others are done, and interruption leaves nothing half-written."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lsm.arch import LSMConfig
from lsm.batch import run as batch
from lsm.batch.plan import Job
from lsm.batch.run import Callbacks, upscale_files
from lsm.errors import CheckpointError, InputError
from lsm.image.exif import PROCESSING_SOFTWARE
from lsm.image.io import read_image, write_image
from lsm.image.pixels import ImageData
from lsm.inference.upscaler import Upscaler


class Repeat(nn.Module):
    config = LSMConfig(upscale=2)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        return image.repeat_interleave(2, 2).repeat_interleave(2, 3) * self.weight


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 9, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", pixels)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:100])
    (tmp_path / "c.png").touch()
    (tmp_path / "d.png").write_text("no image")
    write_image(tmp_path / "e.webp", pixels)
    out = tmp_path / "out" / "deep"
    return [Job(path, out / path.name) for path in sorted(tmp_path.iterdir())]


def test_bad_files_do_not_stop_the_others(jobs: list[Job]) -> None:
    heard: list[tuple[str, bool]] = []
    callbacks = Callbacks(finished=lambda job, text, good: heard.append((job.source.name, good)))
    summary = upscale_files(jobs, Upscaler(Repeat(), device="cpu"), callbacks=callbacks)
    assert [job.source.name for job in summary.done] == ["a.png", "e.webp"]
    assert [job.source.name for job, _ in summary.failed] == ["b.png", "c.png", "d.png"]
    assert all(job.source.name in reason and "\n" not in reason for job, reason in summary.failed)
    assert summary.exit_code == 1
    assert [name for name, good in heard if good] == ["a.png", "e.webp"]
    assert sorted(path.name for path in jobs[0].target.parent.iterdir()) == ["a.png", "e.webp"]
    np.testing.assert_array_equal(
        read_image(jobs[0].target).pixels, read_image(jobs[0].source).pixels.repeat(2, 0).repeat(2, 1)
    )


def test_settings_are_noted_in_the_output(jobs: list[Job]) -> None:
    summary = upscale_files(jobs[:1], Upscaler(Repeat(), device="cpu"), note="lsm 1, seed 7")
    assert summary.exit_code == 0
    assert Image.open(jobs[0].target).getexif()[PROCESSING_SOFTWARE] == "lsm 1, seed 7"


def test_interruption_ends_the_run_and_leaves_nothing_half_written(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler, save = Upscaler(Repeat(), device="cpu"), Image.Image.save

    def interrupted(image: Image.Image, file: object, *args: object, **options: object) -> None:
        save(image, file, *args, **options)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    summary = upscale_files(jobs, upscaler)
    assert summary.interrupted
    assert summary.exit_code == 130
    assert not list(jobs[0].target.parent.iterdir())


@pytest.fixture
def good_jobs(tmp_path: Path) -> list[Job]:
    rng = np.random.default_rng(1)
    for index in range(5):
        write_image(tmp_path / f"{index}.png", rng.integers(0, 256, (8, 9, 3), dtype=np.uint8))
    return [Job(path, tmp_path / "out" / path.name) for path in sorted(tmp_path.iterdir())]


def test_reading_network_and_writing_overlap(good_jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage waits for another file's to have begun, so in a row they would wait in vain."""
    count = len(good_jobs)
    read, computed = ([threading.Event() for _ in range(count)] for _ in range(2))

    def reading(path: Path, limit: int) -> ImageData:
        index = int(path.stem)
        assert index < 2 or computed[index - 2].is_set(), "only one image is read ahead"
        read[index].set()
        return read_image(path, limit)

    def writing(path: Path, image: ImageData, replace: bool) -> list[str]:
        assert computed[min(int(path.stem) + 1, count - 1)].wait(30)
        return write_image(path, image, replace)

    class Waiting(Repeat):
        calls = 0

        def forward(self, image: Tensor) -> Tensor:
            index, self.calls = self.calls, self.calls + 1
            computed[index].set()
            assert read[min(index + 1, count - 1)].wait(30)
            return super().forward(image)

    monkeypatch.setattr(batch, "read_image", reading)
    monkeypatch.setattr(batch, "write_image", writing)
    summary = upscale_files(good_jobs, Upscaler(Waiting(), tile=0, device="cpu"))
    assert summary.done == good_jobs


def test_interruption_in_the_network_keeps_what_was_done(good_jobs: list[Job]) -> None:
    class Interrupted(Repeat):
        calls = 0

        def forward(self, image: Tensor) -> Tensor:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().forward(image)

    summary = upscale_files(good_jobs, Upscaler(Interrupted(), tile=0, device="cpu"))
    assert summary.interrupted
    assert summary.done == good_jobs[:2]
    assert sorted(path.name for path in good_jobs[0].target.parent.iterdir()) == ["0.png", "1.png"]
    np.testing.assert_array_equal(
        read_image(good_jobs[1].target).pixels, read_image(good_jobs[1].source).pixels.repeat(2, 0).repeat(2, 1)
    )


def test_failures_to_write_are_named(good_jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    def writing(path: Path, image: ImageData, replace: bool) -> list[str]:
        if path.stem == "1":
            raise InputError("1.png: cannot be written: disk full.")
        return write_image(path, image, replace)

    monkeypatch.setattr(batch, "write_image", writing)
    summary = upscale_files(good_jobs, Upscaler(Repeat(), tile=0, device="cpu"))
    assert [job.source.stem for job in summary.done] == ["0", "2", "3", "4"]
    assert [reason for _, reason in summary.failed] == ["1.png: cannot be written: disk full."]


def test_limits_and_formats_are_checked_before_the_work(tmp_path: Path) -> None:
    class Never(Repeat):
        def forward(self, image: Tensor) -> Tensor:
            raise AssertionError("work was begun")

    write_image(tmp_path / "a.png", np.zeros((2, 9000, 3), np.uint8))
    write_image(tmp_path / "t.png", np.zeros((2, 2, 4), np.uint8))
    upscaler = Upscaler(Never(), tile=0, device="cpu")
    jobs = [Job(tmp_path / "a.png", tmp_path / "a.webp"), Job(tmp_path / "t.png", tmp_path / "t.jpg")]
    reasons = [reason for _, reason in upscale_files(jobs, upscaler).failed]
    assert "16383" in reasons[0]
    assert "transparency" in reasons[1]
    bomb = upscale_files(jobs[:1], upscaler, max_pixels=17_999).failed
    assert "`max_pixels`" in bomb[0][1]


def test_unexpected_failures_are_named_and_damaged_weights_end_the_run(jobs: list[Job]) -> None:
    class Bug(Repeat):
        def forward(self, image: Tensor) -> Tensor:
            raise KeyError("a bug")

    summary = upscale_files(jobs[:1], Upscaler(Bug(), tile=0, device="cpu"))
    assert "unexpected KeyError" in summary.failed[0][1]
    broken = Repeat()
    broken.weight.data.fill_(torch.inf)
    with pytest.raises(CheckpointError):
        upscale_files(jobs[:1], Upscaler(broken, tile=0, device="cpu"))
