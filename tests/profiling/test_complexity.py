"""Counted costs against sums made by hand."""

import pytest
import torch

from lsm.arch import build_preset
from lsm.profiling.complexity import complexity, format_quantity, forward_peak_memory
from lsm.scan import linear_scan


def light_by_hand(height: int, width: int, scale: int) -> int:
    """MACs of LSM-light, layer by layer, from its description."""
    dim, tokens, states, heads = 60, 64, 16, 30  # `heads`: channels of one half
    mlp = dim * dim + 9 * dim // 2 + dim // 2 * dim
    attention = 3 * dim * dim + dim * dim + 9 * dim
    lru = dim * dim + 9 * dim + 2 * dim * states + 2 * dim * states + dim * dim + dim * dim // 2
    semantic = dim * dim // 3 + dim // 3 * tokens + tokens * dim // 2
    scan = 4 * states
    pixel = 12 * (attention + mlp) + 12 * (lru + semantic + scan + mlp) + 4 * 9 * dim * dim
    pixel += 9 * 3 * dim + 9 * dim * dim + 9 * dim * 3 * scale**2
    padded = -(-height // 32) * 32 * (-(-width // 32) * 32)
    windows = 12 * padded * 2 * (256 * heads * 2)
    return pixel * height * width + windows


@pytest.mark.parametrize("scale", [2, 4])
def test_light_counts_as_by_hand(scale: int) -> None:
    model = build_preset("light", scale=scale)
    height, width = 720 // scale, 1280 // scale
    cost = complexity(model, height, width)
    # The network may merge linear maps that follow each other, so a little less than the layers' sum can be computed.
    assert 0.93 < cost.macs / light_by_hand(height, width, scale) < 1.001
    assert cost.scan_macs == 12 * 4 * 16 * height * width
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert next(model.parameters()).device.type == "cpu"
    assert model.training


def test_each_kind_of_operation_counts_exactly() -> None:
    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 10, 3, padding=1)
            self.linear = torch.nn.Linear(10, 7)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            tokens = self.linear(self.conv(image).flatten(2).transpose(1, 2))
            scanned = linear_scan(tokens[..., :4].sigmoid(), tokens[..., :4])
            both = linear_scan((tokens[..., 4:], tokens[..., 4:]), (tokens[..., 4:], tokens[..., 4:]), reverse=True)
            return torch.cat([scanned, *both], dim=-1)

    cost = complexity(One(), 5, 8)
    scans = 40 * 4 * 1 + 40 * 3 * 4
    assert cost.scan_macs == scans
    assert cost.macs == 40 * (27 * 10 + 10 * 7) + scans


def test_peak_memory_is_that_of_known_tensors() -> None:
    class Three(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            first = image * self.weight
            return first + image.exp()

    one = 4 * 3 * 100 * 200
    assert forward_peak_memory(Three(), 100, 200) == pytest.approx(4 * one, rel=0.01)  # input, first, exp, sum


def test_numbers_for_people() -> None:
    assert format_quantity(64_067_694_480) == "64.07 G"
    assert format_quantity(999) == "999"
    assert format_quantity(2**20 * 1.5, "B", 1024) == "1.5 MiB"
