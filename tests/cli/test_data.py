"""`lsm data check`, `prepare` and `download`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import stand_ins
from PIL import Image
from skimage import data

from lsm.cli import main
from lsm.data import catalog


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["data", *map(str, arguments)])
    said = capfd.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(2):
        image = np.ascontiguousarray(data.astronaut()[number * 90 : number * 90 + 100, 100:230])
        Image.fromarray(image).save(folder / f"p{number}.png")
    return folder


def test_prepared_folders_pass_the_check(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "sets" / "Mine"
    options = ("--scales", "2,4", "--sub-size", 96, "--sub-overlap", 64, "--lmdb", "--jobs", 1)
    code, said, _ = run(capfd, "prepare", source, output, *options)
    assert code == 0
    assert (output / "HR_sub.lmdb" / "data.mdb").is_file()
    assert (output / "meta_info_LR_bicubic_X4_sub.txt").read_text().splitlines()[0] == "p0_s001.png (24,24,3)"
    high, low = (
        [line.split()[0] for line in (output / f"{name}.lmdb" / "meta_info.txt").read_text().splitlines()]
        for name in ("HR", "LR_bicubic_X4")
    )
    assert high == low == ["p0.png", "p1.png"]
    code, said, _ = run(capfd, "check", tmp_path / "sets", "--jobs", 1)
    assert code == 0
    assert "Mine ×2: 2 images, LR Mine/LR_bicubic/X2: no problems" in said
    assert "Mine ×4" in said and "×3" not in said
    pair = ("check", output / "HR_sub", output / "LR_bicubic" / "X4_sub")
    assert run(capfd, *pair, "--scale", 4, "--jobs", 1)[0] == 0
    code, _, complaint = run(capfd, *pair)
    assert code == 2 and "--scale 4" in complaint


def test_the_first_bad_pair_is_named(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "sets" / "Mine"
    run(capfd, "prepare", source, output, "--scales", 2, "--jobs", 1)
    (output / "LR_bicubic" / "X2" / "p1x2.png").unlink()
    code, said, _ = run(capfd, "check", tmp_path / "sets", "--jobs", 1)
    assert code == 1
    assert "First: Mine ×2, p1: " in said and "has no LR" in said


def test_contradicting_options(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    for options, message in (
        (("--sub-size", 48, "--sub-step", 24, "--sub-overlap", 24), "not both"),
        (("--sub-step", 24), "need --sub-size"),
        (("--jobs", 0), "--jobs must be at least 1, not 0"),
    ):
        code, _, complaint = run(capfd, "prepare", source, output, *options)
        assert code == 2 and message in complaint


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with stand_ins.served(tmp_path / "served", monkeypatch) as address:
        yield address


def test_sets_are_downloaded_once_and_unpacked(server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "datasets"
    code, said, _ = run(capfd, "download", "set5", "Set14", "--root", root)
    assert code == 0
    assert said.count("SHA-256") == 1 and "no hash is published" in said and "Licence: " in said
    assert sorted(path.name for path in (root / "SR").iterdir()) == ["Set14", "Set5"]
    assert (root / "SR" / "Set5" / "HR" / "baby.png").is_file()
    assert (root / "SR" / "Set14" / "LR_bicubic" / "X4" / "lennax4.png").is_file()
    assert not (root / "downloads" / "benchmark.tar").exists()
    code, said, _ = run(capfd, "check", root, "--jobs", 1)
    assert code == 0 and "Set5" in said and "Set14" in said


def test_only_the_set_that_was_asked_for(server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "datasets"
    run(capfd, "download", "Set14", "--root", root, "--mirror", f"{server}/", "--keep")
    assert (root / "SR" / "Set14").is_dir() and not (root / "SR" / "Set5").exists()
    assert (root / "downloads" / "benchmark.tar").is_file()


def test_another_archive_than_the_published_one_is_refused(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = catalog.find_entry("Set5")
    (archive,) = entry.archives
    other = dataclasses.replace(archive, sha256="0" * 64)
    monkeypatch.setattr(catalog, "CATALOG", (dataclasses.replace(entry, archives=(other,)),))
    code, _, complaint = run(capfd, "download", "Set5", "--root", tmp_path)
    assert code == 2 and "another file than the published one: SHA-256" in complaint
    assert not (tmp_path / "SR").exists()


def test_manga109_tells_how_to_get_it(server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capfd, "download", "manga109", "--root", tmp_path)
    assert code == 1
    assert "permission" in said and "manga109.org" in said
    code, said, _ = run(capfd, "download")
    assert code == 0 and "Set5: 5 test images" in said
    code, _, complaint = run(capfd, "download", "Set15", "--root", tmp_path)
    assert code == 2 and "Did you mean" in complaint
