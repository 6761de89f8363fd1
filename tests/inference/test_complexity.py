"""Counted costs against sums made by hand."""

import pytest
import torch

from lsm.arch import create_model
from lsm.inference.complexity import complexity, forward_peak_memory, human


def light_by_hand(height: int, width: int, scale: int) -> int:
    """Multiply-adds of LSM-light, layer by layer, from its description."""
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
    model = create_model("light", scale=scale)
    height, width = 720 // scale, 1280 // scale
    cost = complexity(model, height, width)
    by_hand = light_by_hand(height, width, scale)
    # What is left over does not grow with the image: position biases, and keys and values of the dictionaries.
    assert 0 <= cost.multiply_adds - by_hand < 0.001 * by_hand
    assert cost.scan_multiply_adds == 12 * 4 * 16 * height * width
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    assert next(model.parameters()).device.type == "cpu"
    assert model.training


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
    assert human(64_067_694_480) == "64.07 G"
    assert human(999) == "999"
    assert human(2**20 * 1.5, "B", 1024) == "1.5 MiB"
