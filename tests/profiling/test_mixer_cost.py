import math

import pytest
import torch

from lsm.mixers.registry import build_mixer, mixer_names
from lsm.profiling.complexity import count_cost
from lsm.profiling.mixer_cost import mixer_cost


def counted(name, side, dim=8):
    return count_cost(build_mixer(name, dim), torch.empty(1, side**2, dim, device="meta"), (side, side))


def test_fourier_transforms_are_counted():
    n = 32 * 32
    complex_transform = 2.5 * 8 * n * math.log2(n)
    assert counted("fnet1d", 32).macs == pytest.approx(complex_transform, rel=0.01)
    # A real transform there and one back.
    assert counted("gfnet", 32).macs == pytest.approx(complex_transform, rel=0.01)


@pytest.mark.parametrize("name", mixer_names())
def test_linear_ones_count_linearly(name):
    cost = mixer_cost(name, 8, (8, 32), torch.device("cpu"))
    small, large = cost.macs
    assert cost.linear == (cost.growth == "n")
    assert len(cost.seconds) == 2 and min(cost.seconds) > 0
    if cost.linear and name != "attention":  # which counts the padding to its windows too
        assert large / small == pytest.approx(16, rel=0.15)
