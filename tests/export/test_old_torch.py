"""Exports are refused where torch's exporter fails."""

import re

import pytest
import torch

from lsm.errors import OptionError
from lsm.export.program import export_program
from lsm.mixers.export import export_mixer
from lsm.mixers.registry import build_mixer
from lsm.scan import torch_version


@pytest.fixture
def old(monkeypatch):
    monkeypatch.setattr(torch_version, "TORCH_26", True)


def test_onnx_files_and_saved_programs_are_refused(old, small, tmp_path):
    pytest.importorskip("onnx")
    from lsm.export.onnx_file import export_onnx

    for export in (export_onnx, export_program):
        with pytest.raises(OptionError, match=rf"needs torch 2\.7 .* here is {re.escape(torch.__version__)}.*install"):
            export(small(), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_mixers_are_refused(old, tmp_path):
    with pytest.raises(OptionError, match=r"Export to ONNX needs torch 2\.7 or newer"):
        export_mixer(build_mixer("gfnet", 4), 4, (3, 5), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
