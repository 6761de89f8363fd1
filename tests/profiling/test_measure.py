import sys
import time

import pytest
import torch

from lsm.allocator import keep_freed_memory
from lsm.profiling.measure import measure_run


def test_the_result_and_its_time():
    result, seconds, _ = measure_run(lambda: time.sleep(0.05) or "done", torch.device("cpu"))
    assert result == "done"
    assert seconds >= 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of one computation")
def test_memory_is_the_peak_of_this_computation_alone():
    def hold(megabytes):
        torch.ones(megabytes << 18).sum()  # 4 bytes each
        return None

    keep_freed_memory()  # as the command does
    hold(200)
    large = measure_run(lambda: hold(200), torch.device("cpu"))[2]
    small = measure_run(lambda: hold(20), torch.device("cpu"))[2]
    if large is None:
        pytest.skip("this kernel does not let a process reset its peak")
    assert 180 << 20 < large < 260 << 20
    assert small < 60 << 20
