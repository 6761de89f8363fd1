"""Budgets and tile sizes from what the system says."""

from pathlib import Path

import pytest
import torch

from lsm.inference import memory

CPU = torch.device("cpu")


def test_tile_is_the_largest_power_of_two_windows_in_the_budget() -> None:
    assert memory.choose_tile(1000, 1000 * 256**2, 32) == 256
    assert memory.choose_tile(1000, 1000 * 256**2 - 1, 32) == 128
    assert memory.choose_tile(1000, 0, 32) == 64, "never less than two windows"
    assert memory.choose_tile(1000, 1000 * 1000**2, 20) == 640


def test_limits_of_a_container_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_system_memory", lambda: 8 << 30)
    monkeypatch.setattr(memory, "_address_space", lambda: 6 << 30)
    assert memory.available_memory(CPU) == 6 << 30
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 1073741824\n")
    (tmp_path / "memory.current").write_text(f"{2 << 30}\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory(CPU) == 6 << 30
    (tmp_path / "memory.max").write_text(f"{3 << 30}\n")
    assert memory.available_memory(CPU) == 2 << 30, "file cache is given back when needed"
    assert memory.memory_budget(CPU) == memory.CPU_SHARE * (2 << 30)


def test_budget_is_positive_and_limited_here() -> None:
    assert 0 < memory.memory_budget(CPU) <= memory.CPU_LIMIT


def test_only_exhausted_memory_is_taken_for_it() -> None:
    for error in (MemoryError(), torch.OutOfMemoryError("x"), RuntimeError("MPS backend out of memory (...)")):
        assert memory.is_out_of_memory(error)
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60)
    assert memory.is_out_of_memory(error.value)
    assert not memory.is_out_of_memory(RuntimeError("shapes do not match"))
    assert not memory.is_out_of_memory(ValueError("out of memory"))
