"""A network that trains in tests, its images, and the environment of other processes."""

from __future__ import annotations

import os
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


def environment() -> dict[str, str]:
    """This process' environment, for another one that is to import this repository."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
