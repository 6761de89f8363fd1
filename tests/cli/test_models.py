"""`lsm models` and `lsm info`."""

import re
from pathlib import Path

import pytest

from lsm.arch import PRESETS, create_model
from lsm.audio.checkpoint import EMBEDDED as DENOISERS
from lsm.cli import main
from lsm.inference.models import open_model, weights_for
from lsm.weights import EMBEDDED, save_model


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    said = capfd.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_info_of_a_preset(capfd: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capfd, "info", "light-x4", "--output-size", "1280x720", "--no-memory")
    assert code == 0
    for text in ("782,820", "320×180 → 1280×720", "random"):
        assert text in said
    assert re.search(r"MACs: +6\d\.\d+ G \(of these scans: 44\.24 M\)", said)


def test_info_measures_memory_of_a_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_model(create_model("tiny", scale=3), tmp_path / "a.safetensors")
    code, said, _ = run(capfd, "info", tmp_path / "a.safetensors", "--output-size", "64x100", "--device", "cpu")
    assert code == 0
    assert "22×34 → 66×102" in said
    assert "MiB on cpu" in said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["light-x4", "--output-size", "1280"], "WIDTHxHEIGHT"),
        (["light-x4", "--output-size", "0x720"], "WIDTHxHEIGHT"),
        (["light-x5"], "upscale"),
        (["nothing"], "nothing"),
        (["none.pth"], "none.pth"),
    ],
)
def test_wrong_info(arguments: list[str], text: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, said = run(capfd, "info", *arguments)
    assert code == 2
    assert text in said


def test_models_lists_all_that_is_embedded(capfd: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capfd, "models")
    assert code == 0
    assert all(name in said for name in (*EMBEDDED, *DENOISERS))
    assert "32 ms" in said


@pytest.mark.parametrize(
    ("name", "scale", "expected"),
    [
        (None, None, "tiny-x4"),
        (None, 2, "tiny-x2"),
        (None, 1.5, "tiny-x2"),
        (None, 2.5, "tiny-x3"),
        ("tiny", 6, "tiny-x4"),
        ("tiny-x3", 2, "tiny-x3"),
        ("some/file.pth", 2, "some/file.pth"),
    ],
)
def test_weights_meant_by_a_name_and_a_scale(name: str | None, scale: float | None, expected: str) -> None:
    assert weights_for(name, scale) == expected


def test_every_preset_can_be_described() -> None:
    for variant in PRESETS:
        network, _ = open_model(f"{variant}-x2") if f"{variant}-x2" not in EMBEDDED else (create_model(variant, 2), "")
        assert network.config.upscale == 2
