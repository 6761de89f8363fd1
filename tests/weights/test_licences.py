"""What the embedded weights say of the terms of their data."""

import pytest
import weights
from safetensors import safe_open
from safetensors.torch import load, save

from lsm.errors import CheckpointError
from lsm.weights.integrity import FOLDER

FILES = sorted(FOLDER.glob("*.safetensors"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_header_names_the_licences_of_data_and_teachers(path):
    with safe_open(str(path), "pt") as file:
        header = file.metadata()
    assert header.items() >= weights.licence_lines(header).items(), "python scripts/weights.py"
    if "BSDS" in header["training_set"]:
        assert "non-commercial" in header["data_licences"]


def test_headers_change_and_numbers_stay():
    import torch

    tensors = {"a": torch.arange(7.0), "b": torch.ones(2, 3)}
    changed = weights.with_lines("photo-x2", save(tensors, {"training_set": "DIV2K, taught by DCTLSA", "config": "{}"}))
    again = load(changed)
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())
    assert weights.with_lines("photo-x2", changed) == changed
    assert (
        b"academic research only" in changed and b"teacher_licences" in changed and b"photographs as found" in changed
    )
    with pytest.raises(CheckpointError, match="add its licence"):
        weights.licence_lines({"training_set": "somebody's photographs"})
