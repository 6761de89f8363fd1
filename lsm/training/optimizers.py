"""Optimizers by the names of the config's `train.optim_g.type`, and their learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lsm.training.muon import Muon, split_parameters

_RATIO = "lr_ratio"
"""Key of a parameter group: its learning rate over that of the schedule."""


def build_optimizer(network: nn.Module, settings: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Build the optimizer of a network.

    Args:
        network: The network, wrapped or not.
        settings: The config's `train.optim_g`: `type` (Adam, AdamW or Muon) and that optimizer's own keys. Muon takes
            `adamw_lr` too, the rate at which AdamW updates what Muon leaves to it.

    Returns:
        The optimizer; fused where it can be, since on a CPU many small updates would cost a noticeable part of a step.
    """
    options = {key: value for key, value in settings.items() if value is not None}
    kind = options.pop("type")
    if kind != "Muon":
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return {"Adam": torch.optim.Adam, "AdamW": torch.optim.AdamW}[kind](trained, fused=True, **options)
    ratio = options.pop("adamw_lr") / options["lr"]
    matrices, others = split_parameters(network)
    groups = [
        {"params": matrices, "use_muon": True, _RATIO: 1.0},
        {"params": others, "use_muon": False, _RATIO: ratio, "weight_decay": 0.0},
    ]
    return Muon([group for group in groups if group["params"]], **options)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of a step; a group with a ratio of its own keeps that ratio to it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(_RATIO, 1.0)
