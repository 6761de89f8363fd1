"""The rearrangement of channels as pixels, against torch's."""

import pytest
import torch
from torch import nn

from lsm.arch.upsamplers import PixelShuffle


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_pixel_shuffle_is_torchs(factor: int, layout: torch.memory_format) -> None:
    image = torch.randn(2, 3 * factor**2, 5, 7).to(memory_format=layout)
    ours, theirs = PixelShuffle(factor), nn.PixelShuffle(factor)
    assert torch.equal(ours(image), theirs(image))
    for network in (ours, theirs):
        image.grad = None
        image.requires_grad_()
        network(image).square().sum().backward()
        assert image.grad is not None and torch.equal(image.grad, 2 * image)


def test_pixel_shuffle_stays_one_operator_in_a_graph() -> None:
    program = torch.export.export(PixelShuffle(4), (torch.randn(1, 48, 5, 7),))
    assert [node.name for node in program.graph.nodes if node.op == "call_function"] == ["pixel_shuffle"]
