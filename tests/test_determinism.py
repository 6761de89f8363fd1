"""The same bits from separate processes; what other numbers of threads change is in docs/robustness.md."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm.cli import main
from lsm.image.io import read_image, write_image


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int | str, np.ndarray]:
    """An image upscaled by this process, of one thread, and by new ones, by their number of threads."""
    folder = tmp_path_factory.mktemp("determinism")
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    write_image(folder / "a.png", pixels)
    options = ["-n", "tiny-x2", "-t", "64", "--device", "cpu", "-o"]
    command = ["upscale", str(folder / "a.png"), *options]
    assert torch.get_num_threads() == 1
    with pytest.raises(SystemExit) as left:
        main([*command, str(folder / "here.png")])
    assert not left.value.code
    call = [sys.executable, "-c", "from lsm.cli import main; main()", *command]
    for threads in (1, 2):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": str(threads)}
        subprocess.run([*call, str(folder / f"{threads}.png")], env=environment, check=True)
    return {name: read_image(Path(folder, f"{name}.png")).pixels for name in ("here", 1, 2)}


def test_equally_many_threads_give_the_same_bits(results: dict[int | str, np.ndarray]) -> None:
    np.testing.assert_array_equal(results["here"], results[1])


def test_other_numbers_of_threads_differ_by_rounding_at_most(results: dict[int | str, np.ndarray]) -> None:
    assert np.abs(results[1].astype(int) - results[2]).max() <= 1
