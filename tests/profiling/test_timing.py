"""Times of computations."""

import time

import torch

from lsm.profiling.timing import shortest_time


def test_the_first_run_does_not_count_and_the_shortest_is_taken(monkeypatch):
    clock = iter([0.0, 9.0, 10.0, 13.0, 20.0, 21.0, 30.0, 32.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    calls = []
    assert shortest_time(lambda: calls.append(1), torch.device("cpu")) == 1.0
    assert len(calls) == 4


def test_a_gpu_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waited.append("mps"))
    for place in ("cuda:1", "mps", "cpu"):
        shortest_time(lambda: None, torch.device(place), runs=1)
    assert waited == [torch.device("cuda:1")] * 2 + ["mps"] * 2
