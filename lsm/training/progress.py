"""Progress of a training: a log line with speed and time left, and the same numbers for TensorBoard when asked."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import Any

from lsm.training.budget import Budget
from lsm.training.compat import get_root_logger


class Progress:
    """Counts time and writes a line every `print_freq` iterations.

    Args:
        start_iter: Iterations done before.
        budget: What says when the training ends.
        print_freq: Iterations between two lines.
        writer: TensorBoard's writer or None.
    """

    def __init__(self, start_iter: int, budget: Budget, print_freq: int, writer: Any = None) -> None:
        self.budget = budget
        self.print_freq = print_freq
        self.writer = writer
        self._last_iter = start_iter
        self._last_time = time.perf_counter()
        self._waited = 0.0
        self._losses: dict[str, list[float]] = {}

    def waited(self, seconds: float) -> None:
        """Count time spent waiting for a batch."""
        self._waited += seconds

    def pause(self, seconds: float) -> None:
        """Leave time spent on something else, such as a validation, out of the speed."""
        self._last_time += seconds

    def step(self, iteration: int, losses: Mapping[str, float], rate: float) -> None:
        """Note an iteration, and write the line when it is due.

        Args:
            iteration: 1 for the first.
            losses: The iteration's losses; the line shows their means since the last one.
            rate: The learning rate.
        """
        for name, value in losses.items():
            self._losses.setdefault(name, []).append(value)
        if iteration % self.print_freq and not self.budget.ended(iteration):
            return
        now = time.perf_counter()
        count = iteration - self._last_iter
        seconds, waited = (now - self._last_time) / count, self._waited / count
        means = {name: sum(values) / len(values) for name, values in self._losses.items()}
        left = datetime.timedelta(seconds=round(self.budget.seconds_left(iteration, seconds)))
        shown = "  ".join(f"{name} {value:.5e}" for name, value in means.items())
        get_root_logger().info(
            "iter %7d/%s  %s  lr %.3e  %.3f s/iter (data %.3f)  eta %s",
            *(iteration, self.budget.describe(), shown, rate, seconds, waited, left),
        )
        if self.writer is not None:
            for name, value in {**{f"losses/{name}": value for name, value in means.items()}, "lr": rate}.items():
                self.writer.add_scalar(name, value, iteration)
        self._last_iter, self._last_time, self._waited, self._losses = iteration, now, 0.0, {}
