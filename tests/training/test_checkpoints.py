from __future__ import annotations

import errno
import pickle

import pytest
import torch

from lsm.errors import CheckpointError
from lsm.training import checkpoints


class Code:
    def __reduce__(self):
        return print, ("this ran",)


@pytest.fixture
def run(tmp_path):
    """Three iterations' networks and states."""
    models, states = tmp_path / "models", tmp_path / "training_states"
    models.mkdir()
    states.mkdir()
    for iteration in (5, 10, 100):
        checkpoints.save_atomic({"params": {"w": torch.ones(2000)}}, models / f"net_g_{iteration}.pth")
        state = {"iter": iteration, "optimizers": [{"state": torch.ones(2000)}]}
        checkpoints.save_atomic(state, states / f"{iteration}.state")
    return states, models


def truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


def test_newest_state_counts_rather_than_sorts_by_name(run):
    assert checkpoints.newest_state(*run)["iter"] == 100


@pytest.mark.parametrize("damaged", ["training_states/100.state", "models/net_g_100.pth"])
@pytest.mark.parametrize(
    "how", [truncate, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"x" * 99)]
)
def test_damaged_newest_state_falls_back_with_a_warning(run, damaged, how):
    how(run[0].parent / damaged)
    with pytest.warns(UserWarning, match="100.*Falling back"):
        assert checkpoints.newest_state(*run)["iter"] == 10


def test_no_state_is_none_and_only_damaged_states_are_an_error(run, tmp_path):
    assert checkpoints.newest_state(tmp_path, tmp_path) is None
    for path in run[0].iterdir():
        truncate(path)
    with pytest.warns(UserWarning), pytest.raises(CheckpointError, match="None of the 3 training states"):
        checkpoints.newest_state(*run)


def test_state_with_code_is_refused_and_not_run(run, capsys):
    (run[0] / "100.state").write_bytes(pickle.dumps({"iter": Code()}))
    with pytest.raises(CheckpointError, match=r"100\.state"):
        checkpoints.load_state(run[0] / "100.state", run[1])
    assert "this ran" not in capsys.readouterr().out


def test_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.pth"
    checkpoints.save_atomic({"params": 1}, path)
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        checkpoints.save_atomic({"params": 2, "more": lambda: None}, path)
    assert checkpoints.load_file(path) == {"params": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["a.pth"]


def test_only_the_newest_states_are_kept(run):
    checkpoints.prune_states(run[0], kept=2)
    assert sorted(path.name for path in run[0].iterdir()) == ["10.state", "100.state"]
    assert len(list(run[1].iterdir())) == 3


def test_a_full_disk_is_an_error_of_the_system_that_names_the_file(tmp_path, monkeypatch):
    def full(path, *arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lsm.files._move", full)
    with pytest.raises(OSError, match=r"No space left.*a\.pth"):
        checkpoints.save_atomic({"params": torch.ones(9)}, tmp_path / "a.pth")
    assert not list(tmp_path.iterdir())
