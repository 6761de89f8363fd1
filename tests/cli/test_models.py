"""`lsm models` and `lsm info`."""

import re
from pathlib import Path

import pytest

from lsm.arch import PRESETS, build_preset
from lsm.audio.checkpoint import EMBEDDED as DENOISERS
from lsm.audio.checkpoint import load_denoiser
from lsm.cli import main
from lsm.weights import list_models, load_model, save_model
from lsm.weights.load import open_described


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
    save_model(build_preset("tiny", scale=3), tmp_path / "a.safetensors")
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
    rows = {cells[0]: cells for line in said.splitlines() if len(cells := line.split()) > 4}
    for name in list_models():  # the listing reads headers, the network is counted
        assert f"{sum(p.numel() for p in load_model(name).parameters()):,}" in rows[name], name
    for name in DENOISERS:
        assert f"{sum(p.numel() for p in load_denoiser(name).network.parameters()):,}" in rows[name], name
    latency = load_denoiser("denoiser-causal-16k").latency
    assert latency is not None and f"{1000 * latency:.0f} ms" in said


def test_every_preset_can_be_described() -> None:
    for variant in PRESETS:
        network, origin = open_described(f"{variant}-x2")
        assert network.config.upscale == 2
        assert origin == ("embedded" if f"{variant}-x2" in list_models() else "random")
