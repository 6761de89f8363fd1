"""What Windows and macOS do otherwise, faked here."""

import ast
import io
import sys
from pathlib import Path

import numpy as np
import pytest

from lsm.cli import user_errors
from lsm.data import workers
from lsm.data.datasets import find_set
from lsm.errors import InputError
from lsm.files import atomic_file
from lsm.image.io import write_image

ROOT = Path(__file__).parents[2]


def test_a_narrow_console_gets_escapes_not_a_traceback(monkeypatch):
    bytes_out = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(bytes_out, encoding="cp1252"))
    with pytest.raises(SystemExit) as left, user_errors():
        raise InputError("写真.png: 4×3 is no image.")
    assert left.value.code == 2
    sys.stderr.flush()
    assert bytes_out.getvalue().decode("cp1252") == "lsm: error: \\u5199\\u771f.png: 4×3 is no image.\n"


def test_a_target_that_is_open_elsewhere_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def refuse(part: Path, path: Path) -> None:
        raise PermissionError(13, "The process cannot access the file", str(part))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError) as raised, atomic_file(target) as file:
        file.write(b"new")
    assert raised.value.filename == str(target)
    assert target.read_bytes() == b"old" and [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_file_is_closed_before_it_takes_its_name(tmp_path, monkeypatch):
    moved, opened = [], []
    monkeypatch.setattr(Path, "replace", lambda part, path: moved.append(opened[0].closed))
    with atomic_file(tmp_path / "a") as file:
        opened.append(file)
    assert moved == [True]


def test_work_is_done_by_spawned_processes(monkeypatch):
    monkeypatch.setattr(workers, "get_all_start_methods", lambda: ["spawn"])
    with workers.worker_pool(1, "lsm.data.check") as pool:
        assert pool.submit(len, "ab").result() == 2


def test_sets_are_found_whatever_their_case(tmp_path):
    (tmp_path / "SET5" / "hr").mkdir(parents=True)
    write_image(tmp_path / "SET5" / "hr" / "a.png", np.zeros((8, 8, 3), np.uint8))
    assert len(find_set(tmp_path, "Set5", 2).pairs) == 1


def test_text_files_name_their_encoding():
    """Where none is named, Windows takes its code page; files of Linux itself are ASCII."""
    guilty = []
    for path in (ROOT / "lsm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = any(keyword.arg == "encoding" for keyword in node.keywords)
                text = node.func.attr == "read_text" and not node.args
                linux = ("/proc", "_PROCESS", "folder /")  # its own files, ASCII
                source = ast.unparse(node)
                if text and not named and not any(each in source for each in linux):
                    guilty.append(f"{path.name}: {source}")
    assert guilty == []
