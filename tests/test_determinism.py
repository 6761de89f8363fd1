"""The same bits from separate processes; what other numbers of threads change is in docs/robustness.md."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lsm.image.io import read_image, write_image


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[np.ndarray]]:
    folder = tmp_path_factory.mktemp("determinism")
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    write_image(folder / "a.png", pixels)
    call = "from lsm.cli import main; main()"
    found: dict[int, list[np.ndarray]] = {}
    for number, threads in enumerate((1, 1, 2)):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": str(threads)}
        arguments = ["upscale", str(folder / "a.png"), "-n", "tiny-x2", "-t", "64", "--device", "cpu"]
        output = folder / f"{number}.png"
        subprocess.run([sys.executable, "-c", call, *arguments, "-o", str(output)], env=environment, check=True)
        found.setdefault(threads, []).append(read_image(Path(output)).pixels)
    return found


def test_equally_many_threads_give_the_same_bits(results: dict[int, list[np.ndarray]]) -> None:
    np.testing.assert_array_equal(*results[1])


def test_other_numbers_of_threads_differ_by_rounding_at_most(results: dict[int, list[np.ndarray]]) -> None:
    assert np.abs(results[1][0].astype(int) - results[2][0]).max() <= 1
