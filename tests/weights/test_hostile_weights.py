"""Weights made to hurt: damaged bytes, wrong configurations, files that claim more than they hold."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stress.checkpoints import crafted, try_file, whole_files, with_code, wrong_config
from stress.mutants import mutate

from lsm.errors import CheckpointError
from lsm.weights.pth import load_pth

WHOLE = whole_files()


@pytest.mark.parametrize(("name", "data"), crafted().items(), ids=lambda value: value if isinstance(value, str) else "")
def test_crafted_files_are_refused_in_one_line(tmp_path, name, data) -> None:
    kind, said = try_file(tmp_path, (name, data))
    assert kind == "refused", said
    assert name in said


def test_no_code_runs(tmp_path) -> None:
    for item in with_code(tmp_path / "canary").items():
        kind, said = try_file(tmp_path, item)
        assert kind == "refused", said
    assert not (tmp_path / "canary").exists()


@given(st.sampled_from(sorted(WHOLE)), st.sampled_from(sorted(WHOLE)), st.integers(0, 2**32))
def test_damaged_files_load_or_are_refused_in_one_line(tmp_path_factory, name, other, seed) -> None:
    data = mutate(WHOLE[name], WHOLE[other], random.Random(seed))
    kind, said = try_file(tmp_path_factory.getbasetemp(), (name, data))
    assert kind != "wrong", said


@given(st.integers(0, 2**32))
def test_wrong_configurations_are_refused_in_one_line_or_run(tmp_path_factory, seed) -> None:
    data = wrong_config(random.Random(seed))
    kind, said = try_file(tmp_path_factory.getbasetemp(), ("config.safetensors", data))
    assert kind != "wrong", said


def test_views_that_share_their_numbers_are_plain(tmp_path) -> None:
    tied = torch.rand(4, 4)
    torch.save({"a": tied, "b": tied.t(), "c": tied[1:3, ::2], "d": [torch.zeros(0)]}, tmp_path / "a.pth")
    assert torch.equal(load_pth(tmp_path / "a.pth")["b"], tied.t())
    torch.save({"a": tied[:1].expand(50, 4)}, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match="without all of its numbers"):
        load_pth(tmp_path / "b.pth")
