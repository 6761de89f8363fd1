"""`lsm benchmark` and `lsm benchmark diff`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lsm.cli import main


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["benchmark", *map(str, arguments)])
    said = capfd.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "sets" / "bsd100"
    folder.mkdir(parents=True)
    for number in range(3):
        image = np.ascontiguousarray(data.astronaut()[number * 40 : number * 40 + 50, 100:170])
        Image.fromarray(image).save(folder / f"p{number}.png")
    return tmp_path / "sets"


def test_a_benchmark(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report"
    options = ("--data", root, "--sets", "BSDS100", "--scales", "2,4", "--models", "bicubic,lanczos")
    code, said, _ = run(capfd, *options, "--report", report, "--limit", 2, "--visual", tmp_path / "seen")
    assert code == 0
    for text in ("classical-sr-y", "B100", "×2", "×4", "lanczos", "BT.601", "report.html"):
        assert text in said
    assert not any(line.endswith("  ") for line in said.splitlines())
    content = json.loads((report / "results.json").read_text())
    assert len(content["rows"]) == 8
    assert content["protocol"] == "classical-sr-y"
    assert {"commit", "torch", "cpu", "threads"} <= content["environment"].keys()
    assert "B100 (2 of 100)" in (report / "results.md").read_text()
    assert (tmp_path / "seen" / "lanczos" / "B100" / "x4" / "p1.png").is_file()


def test_a_difference(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for model in ("bicubic", "lanczos"):
        options = ("--data", root, "--sets", "b100", "--scales", "2", "--models", model, "--crops", 0)
        assert run(capfd, *options, "--report", tmp_path / model)[0] == 0
    files = (tmp_path / "bicubic" / "results.json", tmp_path / "lanczos" / "results.json")
    code, said, _ = run(capfd, "diff", *files)
    assert code == 0
    assert "lanczos − bicubic" in said and "p2" in said and "[" in said
    code, said, _ = run(capfd, "diff", files[0], files[0], "--pair", "bicubic:bicubic", "--no-images")
    assert "+0.000" in said and "p2" not in said
    code, _, complaint = run(capfd, "diff", *files, "--pair", "bicubic")
    assert code == 2 and "FIRST:SECOND" in complaint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--data is missing"),
        (("--data", "nowhere"), "no such folder"),
        (("--data", ".", "--scales", "5x"), "Scale '5x'"),
        (("--data", ".", "--channel", "z"), "Unknown channel"),
        (("--data", ".", "--published", "SRCNNN"), "Did you mean 'SRCNN'"),
        (("--data", ".", "--threads", "0"), "--threads 0"),
        (("--data", ".", "--sets", ","), "--sets names no set"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], options: tuple[str, ...],
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, complaint = run(capfd, *options)
    assert code == 2
    assert complaint.startswith("lsm: error: ") and complaint.count("\n") == 1
    assert message in complaint
