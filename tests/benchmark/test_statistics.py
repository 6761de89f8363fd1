import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

from lsm.benchmark.results import ImageResult, Results
from lsm.benchmark.statistics import compare, paired_bootstrap, seeds_margin
from lsm.errors import InputError, OptionError


def _row(model, image, psnr, data="same"):
    return ImageResult(model, "Set5", 2, image, 10, 10, psnr, psnr / 40, 0.1, None, data, f"{model}{image}")


def _results(rows, protocol="classical-sr-y"):
    return Results(protocol, "text", {"channel": "y"}, {}, (), (), tuple(rows))


def test_the_interval_agrees_with_scipy():
    differences = np.random.default_rng(1).normal(0.05, 0.2, 40)
    ours = paired_bootstrap(differences.tolist())
    theirs = bootstrap(
        (differences,), np.mean, n_resamples=20_000, method="percentile", random_state=0
    ).confidence_interval
    assert ours.mean == pytest.approx(differences.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.004)
    assert ours.high == pytest.approx(theirs.high, abs=0.004)
    assert paired_bootstrap(differences.tolist()) == ours


def test_differences_are_second_minus_first():
    first = _results([_row("a", f"p{i}", 30.0 + i) for i in range(6)])
    second = _results([_row("a", f"p{i}", 30.5 + i) for i in range(6)])
    (found,) = compare(first, second)
    assert found.psnr == (0.5,) * 6
    assert found.psnr_interval.mean == pytest.approx(0.5)
    assert found.psnr_interval.excludes_zero
    (same,) = compare(first, first)
    assert not same.psnr_interval.excludes_zero


def test_only_the_same_images_are_compared():
    first = _results([_row("a", "p0", 30), _row("a", "p1", 31), _row("a", "p2", 32)])
    second = _results([_row("a", "p0", 31), _row("a", "p1", 32, data="other"), _row("a", "p9", 33)])
    (found,) = compare(first, second)
    assert found.images == ("p0",)
    assert found.left_out == 1


def test_labels_can_be_named():
    first = _results([_row("a", "p0", 30), _row("b", "p0", 31)])
    second = _results([_row("c", "p0", 33)])
    assert compare(first, second, [("b", "c")])[0].psnr == (2,)
    with pytest.raises(OptionError, match="`pair`"):
        compare(first, second)
    with pytest.raises(OptionError, match="Did you mean"):
        compare(first, second, [("bb", "c")])
    only = _results([_row("a", "p0", 30)])
    assert compare(only, second)[0].psnr == (3,)


def test_what_cannot_be_compared():
    first = _results([_row("a", "p0", 30)])
    with pytest.raises(InputError, match="protocols"):
        compare(first, dataclasses.replace(first, protocol="classical-sr-rgb"))
    with pytest.raises(InputError, match="in common"):
        compare(first, _results([_row("a", "p0", 30, data="other")]))
    with pytest.raises(InputError, match="exactly"):
        compare(first, _results([_row("a", "p0", float("inf"))]))


@pytest.mark.parametrize("differences", [[0.1, -0.05], [0.01, 0.03, 0.02], [-1.0, 2.0, 0.5, 0.25, 3.0]])
def test_margin_between_seeds_is_students(differences):
    expected = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert seeds_margin(differences) == pytest.approx((expected.high - expected.low) / 2)


def test_one_seed_has_no_margin():
    assert seeds_margin([0.1]) == math.inf
