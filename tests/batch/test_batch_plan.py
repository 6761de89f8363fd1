"""Which files are found, what outputs are called, and what is refused."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from lsm.batch.plan import Naming, plan
from lsm.errors import InputError, OptionError
from lsm.image.io import write_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("a.png", "b.JPG", "sub/deep/c.tif", "sub/a.png", ".hidden.png", ".cache/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "notes.txt").write_text("no image")
    return folder


def targets(inputs: list[str], output: Path, **options: object) -> list[str]:
    naming = {key: options.pop(key) for key in ("suffix", "ext") if key in options}
    jobs, _ = plan(inputs, Naming(output, **naming), **options)  # type: ignore[arg-type]
    return [job.target.relative_to(output).as_posix() for job in jobs]


def test_folder_keeps_its_tree(photos: Path, tmp_path: Path) -> None:
    found = targets([str(photos)], tmp_path / "out")
    assert found == ["a_out.png", "b_out.JPG", "sub/a_out.png", "sub/deep/c_out.tif"]
    assert targets([str(photos)], tmp_path / "out", suffix="x4", ext="webp")[1] == "b_x4.webp"
    assert targets([str(photos)], tmp_path / "out", suffix="", ext=".png")[1] == "b.png"


def test_globs_and_files(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert targets([str(photos / "**" / "*.png")], out) == ["a_out.png", "sub/a_out.png"]
    assert targets([str(photos / "*.[jJ]*")], out) == ["b_out.JPG"]
    (photos / "odd[1].png").touch()
    assert targets([str(photos / "odd[1].png")], out) == ["odd[1]_out.png"], "an existing name is no pattern"
    monkeypatch.chdir(photos)
    assert targets(["*.png", "a.png", "b.JPG"], out) == ["a_out.png", "b_out.JPG", "odd[1]_out.png"], "each once"


def test_single_output_name(photos: Path, tmp_path: Path) -> None:
    jobs, _ = plan([str(photos / "a.png")], Naming(tmp_path / "big.jpg"))
    assert jobs[0].target == tmp_path / "big.jpg"
    with pytest.raises(OptionError, match="several inputs need a folder"):
        plan([str(photos)], Naming(tmp_path / "big.jpg"))
    with pytest.raises(OptionError, match="as `ext` asks"):
        plan([str(photos / "a.png")], Naming(tmp_path / "big.jpg", ext="png"))


def test_transparent_image_becomes_png_instead_of_jpeg(tmp_path: Path) -> None:
    write_image(tmp_path / "t.png", np.zeros((4, 4, 4), np.uint8))
    write_image(tmp_path / "o.png", np.zeros((4, 4, 3), np.uint8))
    assert targets([str(tmp_path / "t.png"), str(tmp_path / "o.png")], tmp_path / "out", ext="jpg") == [
        "o_out.jpg",
        "t_out.png",
    ]
    jobs, _ = plan([str(tmp_path / "t.png")], Naming(tmp_path / "out", ext="jpg", drop_alpha=True))
    assert jobs[0].target.name == "t_out.jpg"


def test_outputs_are_not_taken_for_inputs(photos: Path) -> None:
    inside = photos / "results"
    inside.mkdir()
    (inside / "a_out.png").touch()
    assert len(targets([str(photos)], inside, overwrite=True)) == 4, "the output folder is passed over"
    assert len(targets([str(photos / "**")], inside, overwrite=True)) == 4
    (photos / "a_out.png").touch()
    same = targets([str(photos)], photos, overwrite=True)
    assert "a_out.png" in same
    assert "a_out_out.png" not in same


def test_inputs_are_not_overwritten_unless_asked(photos: Path) -> None:
    with pytest.raises(OptionError, match="would be overwritten"):
        plan([str(photos)], Naming(photos, suffix=""))
    with pytest.raises(OptionError, match="would be overwritten"):
        plan([str(photos)], Naming(photos, suffix=""), skip_existing=True)
    jobs, _ = plan([str(photos)], Naming(photos, suffix=""), overwrite=True)
    assert all(job.source == job.target for job in jobs)


def test_collisions_are_refused(photos: Path, tmp_path: Path) -> None:
    (photos / "a.jpg").touch()
    with pytest.raises(OptionError, match="both be written"):
        plan([str(photos)], Naming(tmp_path / "out", ext="png"), overwrite=True)
    with pytest.raises(OptionError, match=r"is an input|both be written"):
        plan([str(photos)], Naming(photos, suffix="", ext="png"), overwrite=True)
    with pytest.raises(OptionError, match="both be written"):
        plan([str(photos / "a.png"), str(photos / "sub" / "a.png")], Naming(tmp_path / "out"))
    (photos / "x.png").touch()
    (photos / "x_out.png").touch()
    named = [str(photos / "x.png"), str(photos / "x_out.png")]
    with pytest.raises(OptionError, match="is an input and would be an output"):
        plan(named, Naming(photos), overwrite=True)


def test_existing_outputs(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a_out.png").touch()
    with pytest.raises(OptionError, match="exists already"):
        plan([str(photos)], Naming(out))
    jobs, left_out = plan([str(photos)], Naming(out), skip_existing=True)
    assert (len(jobs), [job.target.name for job in left_out]) == (3, ["a_out.png"])
    assert len(plan([str(photos)], Naming(out), overwrite=True)[0]) == 4
    with pytest.raises(OptionError, match="exclude each other"):
        plan([str(photos)], Naming(out), overwrite=True, skip_existing=True)


def test_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, text in (("none.png", "no such file"), ("empty", "no PNG"), ("*.png", "no image matches")):
        with pytest.raises(InputError, match=text):
            plan([str(tmp_path / name)], Naming(tmp_path / "out"))
    for naming in ({"ext": "gif"}, {"suffix": "a/b"}):
        with pytest.raises(OptionError):
            Naming(tmp_path, **naming)


def test_a_nameless_input_is_not_the_working_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    with pytest.raises(InputError, match="name is empty"):
        plan([""], Naming(tmp_path / "out"))


def test_unwritable_output_folder(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="is no folder"):
        plan([str(photos)], Naming(photos / "a.png" / "out"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser may write anywhere
    with pytest.raises(OptionError, match="cannot be written to"):
        plan([str(photos)], Naming(tmp_path / "out"))


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems take no such names")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a\udcff.png").touch()
    assert targets([str(folder)], tmp_path / "out") == ["a\udcff_out.png"]
    with pytest.raises(OptionError) as error:
        plan([str(folder)], Naming(folder, suffix=""))
    str(error.value).encode("utf-8")
