"""Files that are there whole or not at all, in one process, in two, and after one that was killed."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lsm.errors import OptionError
from lsm.files import _remove_litter, append_line, atomic_file, only_process


def test_a_line_follows_one_that_was_cut_off(tmp_path: Path):
    path = tmp_path / "lines"
    append_line(path, "é\udcff")
    assert path.read_bytes() == b"\xc3\xa9\\udcff\n"
    path.write_bytes(b"whole\ncut")
    append_line(path, "next")
    append_line(path, "last")
    assert path.read_bytes() == b"whole\ncut\nnext\nlast\n"


HOLD = """
import sys, time
from pathlib import Path
from lsm.files import atomic_file, only_process
folder = Path(sys.argv[1])
with only_process(folder), atomic_file(folder / "a") as file:
    file.write(b"half")
    file.flush()
    print("holding", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the folder, with a file half-written."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(".lsm-*.part"))


def age(folder: Path) -> None:
    for part in parts(folder):
        os.utime(part, (time.time() - 3600,) * 2)
    _remove_litter.cache_clear()


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), atomic_file(tmp_path / "a") as file:
            file.write(b"half")
            raise error
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_errors_of_the_system_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing.a'"), atomic_file(tmp_path / "missing" / "a"):
        pass


def test_errors_of_the_system_at_another_file_name_that_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"source'"), atomic_file(tmp_path / "a"):
        (tmp_path / "source").read_bytes()
    with pytest.raises(OSError, match=r"No space left on device: .*/a'"), atomic_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appeared_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(*names: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not links:  # as on a memory card
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(FileExistsError), atomic_file(tmp_path / "a", replace=False) as file:
        file.write(b"new")
        (tmp_path / "a").write_text("another's")
    assert (tmp_path / "a").read_text() == "another's"
    with atomic_file(tmp_path / "b", replace=False) as file:
        file.write(b"new")
    assert (tmp_path / "b").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_litter_of_the_killed_is_deleted_and_that_of_the_living_is_not(tmp_path: Path, holder) -> None:
    age(tmp_path)
    with atomic_file(tmp_path / "b"):
        pass
    assert len(parts(tmp_path)) == 1, "its writer lives"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    _remove_litter.cache_clear()
    age(tmp_path)
    with atomic_file(tmp_path / "b"):
        pass
    assert not parts(tmp_path)
    assert not (tmp_path / "a").exists()


def test_a_folder_is_held_by_one_process_until_it_ends(tmp_path: Path, holder) -> None:
    with pytest.raises(OptionError, match="in use by another process"), only_process(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with only_process(tmp_path):
        pass
