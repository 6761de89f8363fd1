"""Fixtures of a short training; what is imported by name is in small_training.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from small_training import SMALL_NETWORK, smooth_image

from lsm.image.io import write_image


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of five images whose sides are no multiples of the scale."""
    folder = tmp_path / "images" / "HR"
    folder.mkdir(parents=True)
    for index in range(5):
        write_image(folder / f"im{index}.png", smooth_image(index))
    return folder


@pytest.fixture
def content(images: Path) -> dict[str, Any]:
    """A config's content for a short training on the CPU."""
    return {
        "name": "small",
        "scale": 2,
        "num_gpu": 0,
        "datasets": {
            "train": {"dataroot_gt": str(images), "gt_size": 16, "batch_size": 4, "num_worker_per_gpu": 0},
        },
        "network_g": dict(SMALL_NETWORK),
        "train": {
            "total_iter": 12,
            "ema_decay": 0.9,
            "optim_g": {"type": "AdamW", "lr": 1e-3},
            "scheduler": {"type": "CosineAnnealingRestartLR", "periods": [12]},
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": 4},
    }


@pytest.fixture
def option_file(tmp_path: Path):
    """Write a config and return its path."""

    def write(content: dict[str, Any], name: str = "options.yml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content))
        return path

    return write
