from __future__ import annotations

import pytest
import torch

from lsm.training.compat import lr_scheduler
from lsm.training.schedule import learning_rate

SCHEDULES = [
    {"type": "MultiStepRestartLR", "milestones": [3, 7, 7, 12], "gamma": 0.5},
    {
        "type": "MultiStepRestartLR",
        "milestones": [3, 9],
        "gamma": 0.1,
        "restarts": [0, 6],
        "restart_weights": [1, 0.5],
    },
    {"type": "CosineAnnealingRestartLR", "periods": [16], "eta_min": 1e-5},
    {"type": "CosineAnnealingRestartLR", "periods": [5, 6, 5], "restart_weights": [1, 0.5, 0.2], "eta_min": 1e-6},
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_equals_basicsr_stepping_through(schedule):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    settings = {name: value for name, value in schedule.items() if name != "type"}
    scheduler = getattr(lr_scheduler, schedule["type"])(optimizer, **settings)
    for iteration in range(1, 16):
        if iteration > 1:
            optimizer.step()
            scheduler.step()
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(schedule, 0.2, iteration) == pytest.approx(expected, rel=1e-12)


def test_warm_up_rises_to_the_configured_rate():
    schedule = {"type": "MultiStepLR", "milestones": [100]}
    rates = [learning_rate(schedule, 1.0, iteration, warmup_iter=4) for iteration in (1, 2, 3, 4, 5)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0]
