"""LSM: two mixers alternating in a residual scaffold, and an upsampler (paper §3)."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from lsm.arch.blocks import Block, ResidualGroup
from lsm.arch.config import LSMConfig, Recurrence
from lsm.arch.pixel_unshuffle import PixelUnshuffle
from lsm.arch.presets import preset_config
from lsm.arch.upsamplers import UPSAMPLERS, PixelShuffleDirect
from lsm.mixers.base import to_image, to_tokens
from lsm.mixers.recurrent import ModulatedLRU
from lsm.mixers.registry import build_mixer

CONFIG_KEY = "_extra_state"
"""The entry of a state dict that carries the network's configuration, so that any file of weights describes itself."""


def encode_config(config: LSMConfig) -> Tensor:
    """Write a configuration as the bytes of its JSON, (n,) uint8: a tensor, so that every kind of file can hold it."""
    return torch.tensor(list(json.dumps(config.to_dict()).encode()), dtype=torch.uint8, device="cpu")


def decode_config(data: Tensor) -> dict[str, Any]:
    """Read what `encode_config` wrote.

    Raises:
        ValueError: If it is not a JSON object.
    """
    values = json.loads(bytes(data.tolist()))
    if not isinstance(values, dict):
        raise ValueError("The configuration in the weights is not a JSON object.")
    return values


class LSM(nn.Module):
    """Single-image super-resolution, or restoration at r = 1: (B, 3, H, W) in [0, 1] → (B, 3, rH, rW), any H, W ≥ 1.

    Args:
        config: The architecture and what it computes.
    """

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

    mean: Tensor

    def _init_identity(self) -> None:
        """Let what is added to the input start at zero."""
        last = [module for module in self.upsampler if isinstance(module, nn.Conv2d)][-1]
        assert last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def _init_bilinear(self) -> None:
        """Carry the image itself in the first channels past the body, which starts weak, to a bilinear upsampler."""
        assert isinstance(self.upsampler, PixelShuffleDirect) and self.shallow.bias is not None
        channels = self.config.in_chans
        with torch.no_grad():
            self.shallow.weight[:channels] = 0
            self.shallow.bias[:channels] = 0
            self.shallow.weight[range(channels), range(channels), 1, 1] = 1
            self.conv.weight.mul_(0.1)
        self.upsampler.init_bilinear(self.config.upscale)

    def reset_buffers(self) -> LSM:
        """Fill the buffers that no file holds, e.g. after `to_empty`; return the network itself."""
        with torch.no_grad():
            self.mean.copy_(torch.tensor(self.config.rgb_mean).view_as(self.mean))
        return self

    def get_extra_state(self) -> Tensor:
        """Let the state dict carry the configuration."""
        return encode_config(self.config)

    def set_extra_state(self, state: Tensor) -> None:
        """Ignore a configuration that is loaded: this network is built, and the shapes are checked by name."""

    def forward_features(self, image: Tensor) -> Tensor:
        """Compute deep features of a normalised image: (B, 3, H, W) → (B, C, H, W); unshuffled, (B, 3u², H, W)."""
        shallow = self.shallow(image)
        size = (image.shape[2], image.shape[3])
        tokens = self.norm_in(to_tokens(shallow))
        for group in self.groups:
            tokens = group(tokens, size)
        return self.conv(to_image(self.norm_out(tokens), size)) + shallow

    def forward(self, image: Tensor) -> Tensor:
        """Upscale images (B, 3, H, W) with values in [0, 1]; the result (B, 3, rH, rW) is not clamped."""
        normalised = (image - self.mean) * self.config.img_range
        if self.config.upscale == 1:
            return image + self._correction(normalised) / self.config.img_range
        return self.upsampler(self.forward_features(normalised)) / self.config.img_range + self.mean

    def _correction(self, image: Tensor) -> Tensor:
        """Compute what restores a normalised image (B, 3, H, W) when it is added to it."""
        size = (image.shape[2], image.shape[3])
        return self.unshuffle.crop(self.upsampler(self.forward_features(self.unshuffle(image))), size)

    def checkpoint_blocks(self, enabled: bool = True) -> LSM:
        """Keep only the blocks' inputs for the gradient, and compute each block again on the way back.

        Gradients are the same, random drawings included; a step takes less memory and about a third more time.

        Args:
            enabled: False keeps everything again.

        Returns:
            The network itself.
        """
        for module in self.modules():
            if isinstance(module, ResidualGroup):
                module.checkpointing = enabled
        return self

    def sample_categories(self, enabled: bool = True, generator: torch.Generator | None = None) -> LSM:
        """Draw the categories in eval mode too, instead of taking the most similar prototype.

        Args:
            enabled: False goes back to the arg max.
            generator: Where the noise comes from; torch's global one by default.

        Returns:
            The network itself.
        """
        for module in self.modules():
            if isinstance(module, ModulatedLRU):
                module.sampling, module.generator = enabled, generator
        return self


def create_model(variant: str, scale: int = 4, recurrence: Recurrence = "paper", **overrides: Any) -> LSM:
    """Build a network with random weights, in training mode.

    Args:
        variant: A preset: "tiny", "light", "s" or "base".
        scale: r: 2, 3 or 4; 8 for presets with the classical upsampler; 1 with a `task` of restoration.
        recurrence: "paper"; "official" for what the published implementation computes; or "gated", see
            `lsm.mixers.recurrence.RECURRENCES`. A mapping gives details, `{"mode": "gated", "scan_order": "hilbert"}`.
        **overrides: Any other field of `LSMConfig`, e.g. `embed_dim=32`.

    Raises:
        OptionError: On an unknown preset or option, or a value that no network can be built with.
    """
    return LSM(preset_config(variant, scale, recurrence, **overrides))


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
