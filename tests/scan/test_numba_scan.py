"""What the compiled loops promise beyond the common tests of `linear_scan`: the same bits, and machine code kept."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from lsm.scan import linear_scan, op

pytest.importorskip("numba")

SCAN = """
import torch
from lsm.scan import linear_scan
print(linear_scan(torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1), backend="numba").flatten().tolist())
from lsm.scan.numba_scan import _REAL
print(sum(_REAL.stats.cache_hits.values()) if hasattr(_REAL.stats, "cache_hits") else 0)
"""


def pairs(batch, length, width):
    return [tuple(torch.randn(2, batch, length, width) * 0.6) for _ in range(2)]


def test_the_bits_do_not_depend_on_threads_or_neighbours():
    a, b = pairs(3, 500, 37)
    expected = linear_scan(a, b, backend="numba")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = linear_scan(a, b, backend="numba")
    finally:
        torch.set_num_threads(threads)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: linear_scan(a, b, backend="numba"), range(8)))
    for plane in (0, 1):
        assert torch.equal(alone[plane], expected[plane])
        assert all(torch.equal(result[plane], expected[plane]) for result in together)
    one = linear_scan(tuple(p[1:2, :, 5:6] for p in a), tuple(p[1:2, :, 5:6] for p in b), backend="numba")
    assert torch.equal(one[0], expected[0][1:2, :, 5:6])


def test_auto_takes_it_on_a_cpu():
    a, b = pairs(1, 100, 4)
    assert all(map(torch.equal, linear_scan(a, b), linear_scan(a, b, backend="numba")))


def test_missing_package_and_unfit_tensors_are_named(monkeypatch):
    real = torch.rand(1, 4, 2)
    with pytest.raises(ValueError, match="on meta"):
        op.BACKENDS["numba"]((real.to("meta"),), (real.to("meta"),), None, False)
    with pytest.raises(ValueError, match="bfloat16"):
        op.BACKENDS["numba"]((real.bfloat16(),), (real.bfloat16(),), None, False)
    monkeypatch.setattr(op, "HAS_NUMBA", False)
    with pytest.raises(ValueError, match="\\[fast\\]"):
        linear_scan(real, real, backend="numba")


def run_scan(**environment):
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, **environment}
    done = subprocess.run([sys.executable, "-c", SCAN], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    states, hits = done.stdout.splitlines()
    assert states == "[1.0, 1.5, 1.75]"
    return int(hits)


def test_machine_code_is_kept_for_the_next_process(tmp_path):
    assert run_scan(NUMBA_CACHE_DIR=str(tmp_path)) == 0
    assert list(tmp_path.rglob("*.nbi"))
    assert run_scan(NUMBA_CACHE_DIR=str(tmp_path)) == 1


def test_without_any_folder_for_machine_code(tmp_path):
    """A file stands where the folder would be made; numba then refuses to keep code, and the scan still runs."""
    (tmp_path / "file").touch()
    assert (
        run_scan(
            NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"), NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator"
        )
        == 0
    )
