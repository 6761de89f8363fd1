"""Hard patches come more often, by as much as their error; even ones where nothing is hard."""

import random

import numpy as np
import pytest

from lsm.image.resize import imresize
from lsm.training.importance import PatchImportance


def pair(hr, scale=2):
    return hr, imresize(hr, 1 / scale)


def test_patches_come_in_proportion_to_the_error_of_bicubic():
    rng = np.random.default_rng(0)
    hr = np.full((64, 128, 3), 128, np.uint8)
    hr[:, 64:] = rng.integers(64, 192, (64, 64, 3))  # the left half is flat, the right one noise
    pairs = [pair(hr), pair(np.full((64, 64, 3), 7, np.uint8))]
    importance = PatchImportance(pairs, 8, 2, 1.0)
    random.seed(1)
    drawn = [importance.draw(k % 2) for k in range(3000)]
    error = np.abs(imresize(pairs[0][1], 2).astype(float) - hr).mean(axis=2)
    means = {(top, left): error[2 * top : 2 * top + 16, 2 * left : 2 * left + 16].mean() for _, top, left in drawn}
    quantile = np.quantile(
        [error[y : y + 16, x : x + 16].mean() for y in range(0, 49, 2) for x in range(0, 113, 2)], 0.8
    )
    assert sum(index for index, _, _ in drawn) < 30  # next to nothing of the flat image
    halves = [sum(a <= left <= b for index, _, left in drawn if index == 0) for a, b in ((0, 24), (32, 56))]
    assert halves[0] < 0.02 * halves[1]
    assert np.median([means[top, left] for _, top, left in drawn]) > 0.5 * quantile
    assert {(top, left) for _, top, left in drawn} <= {(t, x) for t in range(25) for x in range(57)}


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_flat_set_and_no_power_give_even_patches(power):
    importance = PatchImportance([pair(np.full((20, 24, 3), k, np.uint8)) for k in range(3)], 8, 2, power)
    random.seed(2)
    drawn = [importance.draw(k % 3) for k in range(600)]
    assert {(top, left) for _, top, left in drawn} == {(top, left) for top in range(3) for left in range(5)}
