"""`nano` whose residual convolutions are sums of branches in training, and single convolutions after it.

W = W₃ₓ₃ + pad(W₁ₓ₁) + W'₃ₓ₃ · W''₁ₓ₁, the branches of RepVGG (Ding et al. 2021, arXiv 2101.03697) and ECBSR (Zhang et
al. 2021, ACM MM). The branches are linear, so they are added up as weights at each step, which costs a few products of
small matrices where branches over features would cost as much as the convolution itself.

    python experiments/plans/reparameterised.py experiments/NAME/models/net_g_latest.pth merged.safetensors
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lsm.arch.convolutional import ConvolutionalLSM, ResidualBlock
from lsm.arch.presets import preset_config
from lsm.training.compat import ARCH_REGISTRY


class Branches(nn.Module):
    """Adds branches to a 3×3 weight (C, C, 3, 3); they start at zero, so that training starts where it does without.

    Args:
        dim: C.
        expansion: Channels between the 1×1 and the 3×3 convolution of the last branch, over C.
    """

    def __init__(self, dim: int, expansion: int = 2) -> None:
        super().__init__()
        hidden = dim * expansion
        self.point = nn.Parameter(torch.zeros(dim, dim))
        self.first = nn.Parameter(torch.randn(hidden, dim) * dim**-0.5)
        self.second = nn.Parameter(torch.zeros(dim, hidden, 3, 3))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the sum (C, C, 3, 3)."""
        sequence = torch.einsum("omhw,mi->oihw", self.second, self.first)
        return weight + sequence + nn.functional.pad(self.point[:, :, None, None], (1, 1, 1, 1))


@ARCH_REGISTRY.register()
class Reparameterised(nn.Module):
    """A convolutional network (B, 3, H, W) → (B, 3, rH, rW) with branches in its residual blocks.

    Args:
        variant: A convolutional preset.
        upscale: r.
        **overrides: Fields of `ConvolutionalConfig`.
    """

    def __init__(self, variant: str = "fast", upscale: int = 4, **overrides: Any) -> None:
        super().__init__()
        self.network = ConvolutionalLSM(preset_config(variant, upscale, **overrides))
        for convolution in _convolutions(self.network):
            parametrize.register_parametrization(convolution, "weight", Branches(convolution.out_channels))

    def forward(self, image: Tensor) -> Tensor:
        """Upscale (B, 3, H, W) in [0, 1]."""
        return self.network(image)


def _convolutions(network: ConvolutionalLSM) -> list[nn.Conv2d]:
    blocks = [block for block in network.body if isinstance(block, ResidualBlock)]
    return [convolution for block in blocks for convolution in (block.conv1, block.conv2)]


def merge(source: Path, target: Path, **options: Any) -> None:
    """Write the network of a training as an ordinary one, with its average of weights where there is one."""
    from lsm.weights import save_model

    stored = torch.load(source, map_location="cpu", weights_only=True)
    trained = Reparameterised(**options)
    trained.load_state_dict(stored.get("params_ema", stored.get("params")))
    for convolution in _convolutions(trained.network):
        parametrize.remove_parametrizations(convolution, "weight")
    save_model(trained.network, target)


if __name__ == "__main__":
    merge(Path(sys.argv[1]), Path(sys.argv[2]), variant="nano")
