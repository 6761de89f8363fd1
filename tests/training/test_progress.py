from __future__ import annotations

import logging

import pytest

from lsm.training import progress
from lsm.training.budget import Budget
from lsm.training.progress import Progress


class Writer:
    def __init__(self) -> None:
        self.scalars = []

    def add_scalar(self, name: str, value: float, iteration: int) -> None:
        self.scalars.append((name, pytest.approx(value), iteration))


def test_lines_tell_means_speed_and_time_left(monkeypatch, caplog):
    clock = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    writer = Writer()
    monkeypatch.setattr(progress, "get_root_logger", lambda: logging.getLogger("progress"))
    with caplog.at_level(logging.INFO, logger="progress"):
        shown = Progress(10, Budget({"total_iter": 3630}, on_cpu=True), print_freq=10, writer=writer)
        for iteration in range(11, 21):
            clock[0] += 1.0
            shown.waited(0.25)
            if iteration == 15:  # a validation takes 50 seconds
                clock[0] += 50
                shown.pause(50)
            shown.step(iteration, {"l_pix": iteration / 100}, 1e-4)
    assert len(caplog.messages) == 1
    line = caplog.messages[0]
    assert "20/3630" in line and "l_pix 1.55000e-01" in line and "lr 1.000e-04" in line
    assert "1.000 s/iter (data 0.250)" in line and line.endswith("eta 1:00:10")
    assert writer.scalars == [("losses/l_pix", 0.155, 20), ("lr", 1e-4, 20)]
