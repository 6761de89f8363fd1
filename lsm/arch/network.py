"""LSM: two mixers alternating in a residual scaffold, and an upsampler (paper §3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsm.arch.base import Network
from lsm.arch.blocks import Block, ResidualGroup
from lsm.arch.config import LSMConfig
from lsm.arch.pixel_unshuffle import PixelUnshuffle
from lsm.arch.upsamplers import UPSAMPLERS
from lsm.mixers.base import to_image, to_tokens
from lsm.mixers.registry import build_mixer


class LSM(Network):
    """Single-image super-resolution, or restoration at r = 1: (B, 3, H, W) in [0, 1] → (B, 3, rH, rW), any H, W ≥ 1.

    Args:
        config: The architecture and what it computes.
    """

    config: LSMConfig

    def __init__(self, config: LSMConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embed_dim
        self.unshuffle = PixelUnshuffle(config.unshuffle)
        self.shallow = nn.Conv2d(config.in_chans * config.unshuffle**2, dim, 3, padding=1)
        self.norm_in = nn.LayerNorm(dim)
        self.groups = nn.ModuleList(_build_groups(config))
        self.norm_out = nn.LayerNorm(dim)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)
        self.upsampler = UPSAMPLERS[config.upsampler](dim, config.in_chans, config.upscale * config.unshuffle)
        self.register_buffer("mean", torch.empty(1, config.in_chans, 1, 1), persistent=False)
        self.reset_buffers()
        self.apply(_init_weights)
        if config.init == "bilinear":
            self._init_bilinear()
        elif config.init == "identity":
            self._init_identity()

    def forward_features(self, image: Tensor) -> Tensor:
        """Compute deep features of a normalised image: (B, 3, H, W) → (B, C, H, W); unshuffled, (B, 3u², H, W)."""
        shallow = self.shallow(image)
        size = (image.shape[2], image.shape[3])
        tokens = self.norm_in(to_tokens(shallow))
        for group in self.groups:
            tokens = group(tokens, size)
        return self.conv(to_image(self.norm_out(tokens), size)) + shallow

    def checkpoint_blocks(self, enabled: bool = True) -> LSM:
        """Keep only the blocks' inputs for the gradient, see `Network.checkpoint_blocks`."""
        for module in self.modules():
            if isinstance(module, ResidualGroup):
                module.checkpointing = enabled
        return self


def _build_groups(config: LSMConfig) -> list[ResidualGroup]:
    """Build the residual groups: even blocks attend in windows, odd ones hold the mixer."""
    rates = iter(torch.linspace(0, config.drop_path_rate, sum(config.depths), device="cpu").tolist())
    return [
        ResidualGroup(config.embed_dim, [_build_block(config, i, j, next(rates)) for j in range(depth)])
        for i, depth in enumerate(config.depths)
    ]


def _build_block(config: LSMConfig, group: int, index: int, drop_path: float) -> Block:
    """Build block `index` of a group; which windows are shifted alternates between groups."""
    attends = index % 2 == 0 if config.placement == "alternate" else config.placement == "attention"
    shifted = (index > 0 and (index - 2) % 4 == 0) if group % 2 == 0 else index % 4 == 0
    name = "attention" if attends else config.mixer
    # The network's own two mixers take the network's options.
    options = {
        "attention": {
            "num_heads": config.num_heads,
            "split_size": config.split_size,
            "pos_dim": config.pos_dim,
            "shifted": shifted,
        },
        "cml": {"d_state": config.d_state, "recurrence": config.recurrence},
    }.get(name, config.mixer_options)
    mixer = build_mixer(name, config.embed_dim, **options)
    return Block(config.embed_dim, mixer, config.mlp_hidden(mixer=not attends), drop_path)


def _init_weights(module: nn.Module) -> None:
    """Draw the weights of a Linear from a truncated normal of 0.02; its bias is 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
