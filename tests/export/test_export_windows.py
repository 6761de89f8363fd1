"""Window attention for unknown sizes against the one that plans its windows in Python."""

import pytest
import torch

from lsm.export.windows import DynamicWindowAttention, Plans
from lsm.mixers.window_attention import WindowAttention


@torch.no_grad()
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (13, 7), (3, 17), (24, 16)])
def test_it_computes_what_its_twin_computes(size, shifted):
    twin = WindowAttention(16, num_heads=4, split_size=(4, 8), shifted=shifted, pos_dim=3).eval()
    for parameter in twin.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    plans = Plans()
    dynamic = DynamicWindowAttention(twin, plans)
    tokens = torch.randn(1, size[0] * size[1], 16)
    torch.testing.assert_close(dynamic(tokens, size), twin(tokens, size), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_plans_are_those_of_one_image():
    plans = Plans()
    first = plans((5, 6), (4, 8), True)
    assert plans((5, 6), (4, 8), True) is first
    plans.forget()
    assert plans((9, 6), (4, 8), True).order.shape != first.order.shape
