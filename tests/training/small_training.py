"""A network that trains in tests, its images, and the scripts run as commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

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
