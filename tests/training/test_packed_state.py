"""A packed state goes on elsewhere as the training itself would have, and nothing else passes for one."""

from __future__ import annotations

import io
import lzma
import runpy
import sys
import tarfile
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from small_training import REPOSITORY

from lsm.errors import CheckpointError, InputError
from lsm.training import launch
from lsm.training.packed_state import pack, unpack


@pytest.fixture
def stopped(tmp_path, content, option_file, monkeypatch):
    """A training of 4 iterations in tmp_path/first; its options."""
    (tmp_path / "first").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    file = option_file(content)
    launch.train(file, ["train:total_iter=4"])
    return file


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_goes_on_in_another_place_as_if_never_stopped(tmp_path, stopped, monkeypatch):
    path = pack(Path("experiments/small"), tmp_path / "states")
    assert path == tmp_path / "states" / "small.tar.xz"
    assert pack(Path("experiments/small"), tmp_path / "again").read_bytes() == path.read_bytes()
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "second")
    assert unpack(path, Path("experiments")) == Path("experiments/small")
    launch.train(stopped, auto_resume=True)
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    launch.train(stopped)
    for name in ("models/net_g_12.pth", "training_states/12.state"):
        found, expected = (
            torch.load(tmp_path / folder / "experiments/small" / name, weights_only=True)
            for folder in ("second", "whole")
        )
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_training_that_is_there_is_left_alone(tmp_path, stopped):
    path = pack(Path("experiments/small"), tmp_path)
    with pytest.raises(InputError, match="already holds a training: move it away"):
        unpack(path, Path("experiments"))


def test_nothing_to_pack(tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        pack(tmp_path / "nowhere", tmp_path)
    (tmp_path / "begun").mkdir()
    with pytest.raises(InputError, match="no training state yet"):
        pack(tmp_path / "begun", tmp_path)
    assert not list(tmp_path.glob("*.xz"))


GOOD = {"run/models/net_g_4.pth": b"n", "run/training_states/4.state": b"s"}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {name: GOOD[name] for name in list(GOOD)[:1]},
        {**GOOD, "run/more": b""},
        {"../models/net_g_4.pth": b"", "../training_states/4.state": b""},
        {"/models/net_g_4.pth": b"", "/training_states/4.state": b""},
        {"..\\run/models/net_g_4.pth": b"", "..\\run/training_states/4.state": b""},
        {"other/models/net_g_4.pth": b"", "run/training_states/4.state": b""},
        {"run/models/net_g_3.pth": b"", "run/training_states/4.state": b""},
    ],
    ids=["empty", "too few", "too many", "above", "absolute", "above on Windows", "two runs", "two iterations"],
)
def test_other_archives_are_refused_and_write_nothing(tmp_path, members):
    path = write_archive(tmp_path / "run.tar.xz", members)
    with pytest.raises(CheckpointError, match=r"run\.tar\.xz"):
        unpack(path, tmp_path / "experiments")
    assert [each.name for each in tmp_path.iterdir()] == ["run.tar.xz"]


def test_links_and_damaged_files_are_refused(tmp_path):
    with tarfile.open(tmp_path / "link.tar.xz", "w:xz") as archive:
        for name in GOOD:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    whole = write_archive(tmp_path / "whole.tar.xz", GOOD).read_bytes()
    (tmp_path / "cut.tar.xz").write_bytes(whole[:-20])
    (tmp_path / "text.tar.xz").write_bytes(b"no archive")
    (tmp_path / "other.tar.xz").write_bytes(lzma.compress(b"no archive" * 100))
    for name in ("link", "cut", "text", "other", "missing"):
        with pytest.raises(CheckpointError, match=rf"{name}\.tar\.xz"):
            unpack(tmp_path / f"{name}.tar.xz", tmp_path / "experiments")
    assert not (tmp_path / "experiments").exists()


def test_script_packs_and_unpacks(tmp_path, stopped, capsys):
    def call(*arguments: str) -> str:
        command = [str(REPOSITORY / "scripts/training_state.py"), *arguments]
        with patch.object(sys, "argv", command), pytest.raises(SystemExit) as ended:
            runpy.run_path(command[0], run_name="__main__")
        printed = capsys.readouterr()
        return f"{ended.value.code} {printed.out}{printed.err}"

    assert call("pack", "experiments/small").startswith("0 experiments/states/small.tar.xz: ")
    assert call("unpack", "experiments/states/small.tar.xz", "--experiments", "elsewhere") == "0 elsewhere/small\n"
    assert call("unpack", "options.yml").startswith("2 lsm: error: ")
