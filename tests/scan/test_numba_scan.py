"""What the compiled loops promise beyond the common tests of `linear_scan`: the same bits, and machine code kept."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from own_process import OwnProcess

from lsm.scan import linear_scan, op

pytest.importorskip("numba")


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


def scan():
    """Scan by loops that are made anew, as a new process does, and print how many of them had machine code."""
    import numba

    from lsm.scan import numba_scan

    numba.core.config.reload_config()  # which has been read before this process had its environment
    importlib.reload(numba_scan)
    states = linear_scan(torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1), backend="numba")
    assert states.flatten().tolist() == [1.0, 1.5, 1.75]
    print(sum(numba_scan._REAL.stats.cache_hits.values()) if hasattr(numba_scan._REAL.stats, "cache_hits") else 0)


def run_scan(folder, **environment):
    process = OwnProcess(scan, folder=folder, environment=environment)
    assert process.wait() == 0, process.output
    return int(process.output.splitlines()[-1])


def test_machine_code_is_kept_for_the_next_process(tmp_path):
    kept = tmp_path / "kept"
    assert run_scan(tmp_path, NUMBA_CACHE_DIR=str(kept)) == 0
    assert list(kept.rglob("*.nbi"))
    assert run_scan(tmp_path, NUMBA_CACHE_DIR=str(kept)) == 1


@pytest.mark.skipif(
    not hasattr(importlib.import_module("numba.core.config"), "CACHE_LOCATOR_CLASSES"),
    reason="numba 0.61 also keeps code beside the module, whatever it is told",
)
def test_without_any_folder_for_machine_code(tmp_path):
    """A file stands where the folder would be made; numba then refuses to keep code, and the scan still runs."""
    (tmp_path / "file").touch()
    environment = {
        "NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache"),
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }
    assert run_scan(tmp_path, **environment) == 0
