"""How far a training is and when it ends: by iterations, or by the hours that it may cost."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch

ENDLESS = 2**40
"""Iterations of a training that a budget of hours ends."""


class Budget:
    """What a training may use, and what it has used.

    Hours are of the process's CPU time where it runs on a CPU, whatever else the machine does, and of the clock where
    it runs on a GPU. Validations and files that are written do not count.

    Args:
        train: The config's section `train`: `total_iter` or `budget_hours`.
        on_cpu: Whether the network runs on a CPU.
        spent: Seconds that the training has used before, from its state.
    """

    def __init__(self, train: Mapping[str, Any], on_cpu: bool, spent: float = 0.0) -> None:
        hours = train.get("budget_hours")
        self.seconds = None if hours is None else hours * 3600.0
        self.total_iter: int = train.get("total_iter") or ENDLESS
        self.spent = spent
        self._clock = time.process_time if on_cpu else time.perf_counter
        self._since: float | None = None

    def start(self) -> None:
        """Begin to count."""
        self._since = self._clock()

    def stop(self) -> None:
        """Count what was used since `start`."""
        if self._since is not None:
            self.spent += self._clock() - self._since
            self._since = None

    def agree(self, options: Mapping[str, Any], device: torch.device) -> None:
        """Set the time used of all processes to that of the busiest, so that they end together."""
        if options["dist"] and self.seconds is not None:
            spent = torch.tensor(self.spent, dtype=torch.float64, device=device)
            torch.distributed.all_reduce(spent, torch.distributed.ReduceOp.MAX)
            self.spent = spent.item()

    def progress(self, done: int) -> float:
        """Return the part of the training that is behind, in [0, 1], after `done` iterations."""
        if self.seconds is None:
            return min(1.0, done / self.total_iter)
        return min(1.0, self.spent / self.seconds)

    def ended(self, done: int) -> bool:
        """Return whether nothing is left after `done` iterations."""
        return done >= self.total_iter or (self.seconds is not None and self.spent >= self.seconds)

    def seconds_left(self, done: int, seconds_per_iteration: float) -> float:
        """Estimate the seconds to the end."""
        if self.seconds is not None:
            return max(0.0, self.seconds - self.spent)
        return seconds_per_iteration * (self.total_iter - done)

    def describe(self) -> str:
        """Return the end of the training in words, for the log."""
        return f"{self.total_iter}" if self.seconds is None else f"{self.seconds / 3600:g} h"


class LossBand:
    """Notice a loss that leaves its band: its running mean against the least that this mean has been.

    A loss that has become not finite stops a training anyway. This finds the slower decay that too high a rate brings:
    with Muon a rate that wins a short run can ruin a longer one.

    Args:
        state: What `state` returned, to go on from.
        factor: Ratio to the least mean from which the loss is out of its band.
        horizon: Iterations over which the mean runs.
    """

    def __init__(self, state: Mapping[str, float] | None = None, factor: float = 1.5, horizon: int = 300) -> None:
        self.factor, self.horizon = factor, horizon
        known = state or {"count": 0, "mean": 0.0, "least": math.inf, "out": 0.0}
        self.count, self.mean = int(known["count"]), float(known["mean"])
        self.least, self.out = float(known["least"]), bool(known["out"])

    def state(self) -> dict[str, float]:
        """Return plain values for a training state."""
        return {"count": self.count, "mean": self.mean, "least": self.least, "out": float(self.out)}

    def note(self, loss: float) -> str | None:
        """Take in the loss of an iteration.

        Returns:
            A line where the loss has just left its band, else None.
        """
        self.count += 1
        self.mean += (loss - self.mean) / min(self.count, self.horizon)
        if self.count < self.horizon:
            return None
        self.least = min(self.least, self.mean)
        was_out, self.out = self.out, self.mean > self.factor * self.least
        if self.out and not was_out:
            return (
                f"The loss has left its band: its mean over {self.horizon} iterations is {self.mean:.3e}, "
                f"{self.mean / self.least:.2f} times its least, {self.least:.3e}. If it stays, lower the learning rate."
            )
        return None
