"""`lsm doctor`, and that it knows every extra."""

import re
import sys
from pathlib import Path

import pytest
import torch

from lsm.cli import main
from lsm.profiling import doctor as diagnosis
from lsm.scan.op import BACKENDS
from lsm.version import install_command


def test_it_says_what_there_is_and_how_fast(capfd, monkeypatch):
    monkeypatch.setattr(diagnosis, "SCAN_SHAPE", (1, 8, 2))
    monkeypatch.setattr(diagnosis, "SIDE", 16)
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    assert not left.value.code
    said = capfd.readouterr().out
    assert torch.__version__ in said
    for name in [*BACKENDS, *diagnosis.EXTRAS, "scan on cpu", "network on cpu"]:
        assert name in said
    assert "the default" in said


def test_a_missing_extra_says_what_it_would_bring(monkeypatch):
    monkeypatch.setattr(diagnosis, "EXTRAS", {"onnx": diagnosis.Extra(("no-such-package", "torch"), "nothing")})
    assert diagnosis.extras() == {"onnx": f"missing no-such-package: {install_command('onnx')} brings nothing"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the standard library reads TOML from Python 3.11 on")
def test_the_extras_are_those_of_the_package():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    stated = {
        name: {re.split(r"[>=\[]", line)[0] for line in lines}
        for name, lines in project["optional-dependencies"].items()
        if name != "dev"
    }
    assert {name: set(extra.packages) for name, extra in diagnosis.EXTRAS.items()} == stated


def test_an_installed_package_says_that_it_is_no_checkout(capfd, monkeypatch, tmp_path):
    from lsm.profiling import environment

    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    monkeypatch.setattr(diagnosis, "scan_speeds", lambda place: {"none": "0"})
    monkeypatch.setattr(diagnosis, "network_speed", lambda place: "0")
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    assert not left.value.code
    said = capfd.readouterr().out
    assert re.search(r"commit\s+unknown: no git checkout", " ".join(said.split()))
    assert "commit not installed" not in " ".join(said.split())
