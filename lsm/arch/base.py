"""What all networks for images share: the frame around their bodies, and a state dict that describes itself."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from lsm.arch.pixel_unshuffle import PixelUnshuffle
from lsm.arch.upsamplers import PixelShuffleDirect
from lsm.mixers.recurrent import ModulatedLRU

CONFIG_KEY = "_extra_state"
"""The entry of a state dict that carries the network's configuration, so that any file of weights describes itself."""


def encode_config(config: Any) -> Tensor:
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


class Network(nn.Module):
    """Super-resolution, or restoration at r = 1: (B, 3, H, W) in [0, 1] → (B, 3, rH, rW), any H, W ≥ 1.

    output = Upsampler(features of (image − mean)) + mean; at r = 1 what is computed is added to the image. A subclass
    sets the modules named below and computes `forward_features`.
    """

    config: Any
    unshuffle: PixelUnshuffle
    shallow: nn.Conv2d
    conv: nn.Conv2d
    upsampler: nn.Sequential
    mean: Tensor

    def forward_features(self, image: Tensor) -> Tensor:
        """Compute deep features of a normalised image: (B, 3u², H, W) → (B, C, H, W)."""
        raise NotImplementedError

    def checkpoint_blocks(self, enabled: bool = True) -> Network:
        """Keep only the blocks' inputs for the gradient, and compute each block again on the way back.

        Gradients are the same, random drawings included; a step takes less memory and about a third more time.

        Args:
            enabled: False keeps everything again.

        Returns:
            The network itself.
        """
        raise NotImplementedError

    def sample_categories(self, enabled: bool = True, generator: torch.Generator | None = None) -> Network:
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

    def forward(self, image: Tensor) -> Tensor:
        """Upscale images (B, 3, H, W) with values in [0, 1]; the result (B, 3, rH, rW) is not clamped."""
        normalised = image - self.mean
        if self.config.img_range != 1:
            normalised = normalised * self.config.img_range
        output = self.upsampler(self.forward_features(self.unshuffle(normalised)))
        if self.config.img_range != 1:
            output = output / self.config.img_range
        if self.config.upscale == 1:
            return image + self.unshuffle.crop(output, (image.shape[2], image.shape[3]))
        return output + self.mean  # not in place: under autocast the features are of lower precision than the image

    def reset_buffers(self) -> Network:
        """Fill the buffers that no file holds, e.g. after `to_empty`; return the network itself."""
        with torch.no_grad():
            self.mean.copy_(torch.tensor(self.config.rgb_mean).view_as(self.mean))
        return self

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What the network was built with, under the name by which spandrel asks for it."""
        return self.config.to_dict()

    def get_extra_state(self) -> Tensor:
        """Return the configuration, which the state dict carries."""
        return encode_config(self.config)

    def set_extra_state(self, state: Tensor) -> None:
        """Ignore a configuration that is loaded: this network is built, and the shapes are checked by name."""

    def _init_identity(self) -> None:
        """Initialise what is added to the input to zero."""
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
