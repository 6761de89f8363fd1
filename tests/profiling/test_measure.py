import sys
import time

import pytest
import torch

from lsm.allocator import keep_freed_memory
from lsm.profiling.environment import PACKAGE, code_hash, environment
from lsm.profiling.measure import measured


def test_the_result_and_its_time():
    result, seconds, _ = measured(lambda: time.sleep(0.05) or "done", torch.device("cpu"))
    assert result == "done"
    assert seconds >= 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of one computation")
def test_memory_is_the_peak_of_this_computation_alone():
    def hold(megabytes):
        torch.ones(megabytes << 18).sum()  # 4 bytes each
        return None

    keep_freed_memory()  # as the command does
    hold(200)
    large = measured(lambda: hold(200), torch.device("cpu"))[2]
    small = measured(lambda: hold(20), torch.device("cpu"))[2]
    if large is None:
        pytest.skip("this kernel does not let a process reset its peak")
    assert 180 << 20 < large < 260 << 20
    assert small < 60 << 20


def test_the_code_hash_covers_what_decides_a_figure(tmp_path, monkeypatch):
    import shutil

    from lsm.profiling import environment as module

    before = code_hash()
    copy = tmp_path / "lsm"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    monkeypatch.setattr(module, "PACKAGE", copy)
    hashed = code_hash.__wrapped__
    assert hashed() == before
    (copy / "benchmark" / "html.py").write_text("# a report may change")
    assert hashed() == before
    for name in ("arch/network.py", "benchmark/metrics.py", "inference/upscaler.py"):
        with (copy / name).open("a") as file:
            file.write("\n")
        assert hashed() != before
        before = hashed()


def test_the_environment_is_plain_data():
    import json

    about = environment(torch.device("cpu"))
    assert json.loads(json.dumps(about)) == about
    assert about["torch"] == torch.__version__ and about["cpu"] and about["gpu"] is None
