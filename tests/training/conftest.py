from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lsm.image.io import write_image

REPOSITORY = Path(__file__).parents[2]

# An LSM small enough to train in tests; its drop path and Gumbel noise are on, so random numbers matter.
SMALL_NETWORK = {
    "type": "LSM",
    "variant": "tiny",
    "upscale": 2,
    "embed_dim": 8,
    "depths": [2],
    "num_heads": 2,
    "d_state": 2,
    "split_size": [4, 8],
    "drop_path_rate": 0.1,
}


def smooth_image(seed: int, height: int = 41, width: int = 45) -> np.ndarray:
    """Waves of random direction, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 10
    waves = [np.sin(x * rng.normal() + y * rng.normal() + rng.uniform(0, 6)) for _ in range(3)]
    return np.uint8(np.stack(waves, -1) * 100 + 128 + rng.integers(-9, 9, (height, width, 3)))


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


def script(name: str, *arguments: str | Path, torchrun: int = 0) -> list[str]:
    """The command line of one of the repository's scripts, under torchrun if asked."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={torchrun}"] if torchrun else []
    return [sys.executable, *launcher, str(REPOSITORY / "scripts" / name), *map(str, arguments)]


def run(command: list[str], folder: Path) -> str:
    """Run a command in a folder and return its log; one thread, so that sums are added in one order."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def environment() -> dict[str, str]:
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
