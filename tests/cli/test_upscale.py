"""`lsm upscale` from arguments to files and exit codes, with a small random network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lsm.arch import build_preset
from lsm.cli import main
from lsm.image.io import read_image, write_image
from lsm.inference.upscaler import Upscaler
from lsm.weights import load_model, save_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small-x2.safetensors"
    save_model(build_preset("tiny", scale=2, embed_dim=16, depths=(2,), d_state=2, num_heads=2), path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i, name in enumerate(("in/a.png", "in/sub/b.png", "in/c.webp")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8))
    return tmp_path


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(["upscale", *map(str, arguments), "--device", "cpu"])
    return int(left.value.code or 0), capfd.readouterr().err


def test_folder_in_tree_out(folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, said = run(capfd, "in", "-o", "out", "-n", weights)
    assert code == 0
    assert "3 of 3 upscaled" in said
    for name, source in (("out/a_out.png", "in/a.png"), ("out/sub/b_out.png", "in/sub/b.png")):
        alone = Upscaler(load_model(weights), device="cpu")(folder / source)
        np.testing.assert_array_equal(read_image(folder / name).pixels, alone)


@pytest.mark.parametrize("spelling", ["long", "short", "underscores", "Real-ESRGAN"])
def test_every_spelling_means_the_same(
    folder: Path, weights: Path, capfd: pytest.CaptureFixture[str], spelling: str
) -> None:
    common = ["-o", "o.png", "-t", "32"]
    arguments = {
        "long": ["in/a.png", "--model", weights, "--scale", "3", "--tile-overlap", "16"],
        "short": ["-i", "in/a.png", "-n", weights, "-s", "3", "--tile-overlap", "16"],
        "underscores": ["--input", "in/a.png", "--model_name", weights, "-s", "3", "--tile_overlap", "16"],
        "Real-ESRGAN": ["-i", "in/a.png", "--model_path", weights, "--outscale", "3", "--tile_pad", "16", "--fp32"],
    }[spelling]
    code, _ = run(capfd, *common, *arguments)
    assert code == 0
    expected = Upscaler(weights, tile=32, tile_overlap=16, device="cpu", scale=3)(folder / "in/a.png")
    np.testing.assert_array_equal(read_image(folder / "o.png").pixels, expected)


def test_options_reach_the_upscaler(folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_image(folder / "t.png", np.full((20, 20, 4), 77, np.uint8))
    arguments = ["--alpha", "drop", "--ensemble", "--precision", "bf16", "--ext", "jpg", "--suffix", "x2", "-t", 0]
    code, said = run(capfd, "t.png", "-n", weights, *arguments)
    assert code == 0
    assert "no tiles, bf16 on cpu, ensemble" in said
    assert read_image(folder / "results" / "t_x2.jpg").pixels.shape == (40, 40, 3)


def test_failures_are_named_and_counted(folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, said = run(capfd, "in", "-n", weights)
    assert code == 1
    assert "3 of 4 upscaled; 1 failed" in said
    assert "bad.png" in said.splitlines()[-1]
    assert "Traceback" not in said
    code, said = run(capfd, "in", "-n", weights, "--skip-existing")
    assert code == 1
    assert "0 of 1 upscaled; 3 skipped" in said
    code, said = run(capfd, "in", "-n", weights, "--overwrite", "--max-megapixels", 0.0001)
    assert code == 1
    assert "--max-megapixels" in said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Which images"),
        (["none.png"], "no such file"),
        (["in", "-n", "tiny-x9"], "tiny-x"),
        (["in", "-n", "none.safetensors"], "none.safetensors"),
        (["in", "-o", "one.png"], "several inputs need a folder"),
        (["in", "-o", "in", "--suffix", ""], "would be overwritten"),
        (["in", "--ext", "gif"], "extension"),
        (["in", "--fp32", "--precision", "bf16"], "exclude each other"),
        (["in", "-n", "WEIGHTS", "--precision", "fp8"], "fp16"),
        (["in", "-n", "WEIGHTS", "-t", "big"], "'auto'"),
        (["in", "-n", "WEIGHTS", "-t", "8"], "too small"),
        (["in", "-n", "WEIGHTS", "-s", "-2"], "out of range"),
        (["in", "-n", "WEIGHTS", "--alpha", "keep"], "bicubic"),
        (["in", "--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_is_code_2_and_one_line(
    folder: Path, weights: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    before = sorted(folder.rglob("*"))
    code, said = run(capfd, *[str(weights) if item == "WEIGHTS" else item for item in arguments])
    assert code == 2
    assert text in said
    assert "Traceback" not in said
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (OSError(28, "No space left on device", "out/a"), 2, "lsm: error: out/a: No space left on device.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_of_the_system_and_ctrl_c_are_one_line(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    expected: int,
    text: str,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("lsm.batch.plan.plan", fail)
    code, said = run(capfd, "in")
    assert code in (expected, 1 if expected == 130 else expected)  # older versions of typer end with 1
    assert text in said
    assert "Traceback" not in said
