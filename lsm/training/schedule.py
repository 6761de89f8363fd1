"""Learning-rate schedules as pure functions of the iteration, so that resuming needs no scheduler state.

They give what BasicSR's `MultiStepRestartLR` and `CosineAnnealingRestartLR` give when stepped once an iteration from
the second on. One thing differs: BasicSR's multi-step schedule multiplies whatever the rate is, so that a warm-up
leaves it a little below the configured one for good; here the rate after a warm-up is the configured one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def multi_step(
    base_lr: float,
    iteration: int,
    milestones: Sequence[int],
    gamma: float = 0.1,
    restarts: Sequence[int] = (0,),
    restart_weights: Sequence[float] = (1.0,),
) -> float:
    """Return the rate that is multiplied by `gamma` at every milestone.

    Args:
        base_lr: The configured learning rate.
        iteration: 1 for the first.
        milestones: Iterations after which the rate falls.
        gamma: The factor.
        restarts: Iterations after which the rate starts anew; the first is 0.
        restart_weights: What `base_lr` is multiplied with from each restart on.
    """
    done = iteration - 1
    last = max(index for index, start in enumerate(restarts) if start <= done)
    falls = sum(restarts[last] < milestone <= done for milestone in milestones)
    return base_lr * restart_weights[last] * gamma**falls


def cosine(
    base_lr: float,
    iteration: int,
    periods: Sequence[int],
    restart_weights: Sequence[float] = (1.0,),
    eta_min: float = 0.0,
) -> float:
    """Return the rate that falls along half a cosine in each period.

    Args:
        base_lr: The configured learning rate.
        iteration: 1 for the first.
        periods: Lengths of the periods, in iterations; after the last one the rate stays at its end.
        restart_weights: What the fall of each period is multiplied with.
        eta_min: The rate at the end of a period.
    """
    done, start = iteration - 1, 0
    for period, weight in zip(periods, restart_weights, strict=True):
        if done <= start + period:
            phase = (done - start) / period
            return eta_min + weight * 0.5 * (base_lr - eta_min) * (1 + math.cos(math.pi * phase))
        start += period
    return eta_min


def cosine_to_the_end(base_lr: float, progress: float, eta_min: float = 0.0) -> float:
    """Return the rate that falls along half a cosine over the whole training.

    Args:
        base_lr: The configured learning rate.
        progress: Part of the training that is behind, in [0, 1].
        eta_min: The rate at the end.
    """
    return eta_min + 0.5 * (base_lr - eta_min) * (1 + math.cos(math.pi * progress))


def learning_rate(
    scheduler: Mapping[str, Any], base_lr: float, iteration: int, warmup_iter: int = -1, progress: float = 0.0
) -> float:
    """Return the learning rate of one iteration.

    Args:
        scheduler: The config's `train.scheduler`: `type` and that schedule's own keys.
        base_lr: The configured learning rate.
        iteration: 1 for the first.
        warmup_iter: Before this iteration the rate rises linearly from 0; -1 for no warm-up.
        progress: Part of the training that is behind, in [0, 1]; the schedule `Cosine` follows it.
    """
    if iteration < warmup_iter:
        return base_lr * iteration / warmup_iter
    settings = {name: value for name, value in scheduler.items() if name != "type"}
    if scheduler["type"] == "Cosine":
        return cosine_to_the_end(base_lr, progress, **settings)
    schedule = cosine if scheduler["type"] == "CosineAnnealingRestartLR" else multi_step
    return schedule(base_lr, iteration, **settings)
