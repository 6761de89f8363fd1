"""Reconstruction: from features at the low resolution to the upscaled image (paper §3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _shuffle_stages(width: int, scale: int) -> list[nn.Module]:
    """Upscale by 3 in one step, else by 2 as often as needed."""
    factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    stages: list[nn.Module] = []
    for factor in factors:
        stages += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return stages


class PixelShuffle(nn.PixelShuffle):
    """Rearrange (B, C·r², H, W) as (B, C, rH, rW), for the few channels of an image.

    The same numbers as torch's, which writes them four times as slowly on a CPU while C is 3; at 64 channels in
    channels-last memory torch's own is the faster one.
    """

    def forward(self, image: Tensor) -> Tensor:
        """Rearrange channels as pixels; the result is contiguous."""
        factor = self.upscale_factor
        if factor == 1:
            return image
        if torch.compiler.is_compiling():  # graphs have an operator for it
            return super().forward(image)
        batch, width, rows, columns = image.shape
        channels = width // factor**2
        split = image.view(batch, channels, factor, factor, rows, columns)
        return split.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, rows * factor, columns * factor)


class PixelShuffleDirect(nn.Sequential):
    """3×3 convolution C → 3r², PixelShuffle(r).

    Args:
        dim: C.
        channels: Of the image.
        scale: r, from tokens to pixels of the output; at 1 there is nothing to shuffle.
    """

    def __init__(self, dim: int, channels: int, scale: int) -> None:
        super().__init__(nn.Conv2d(dim, channels * scale**2, 3, padding=1), PixelShuffle(scale))

    def init_bilinear(self, scale: int) -> None:
        """Initialise to bilinear upscaling of the first channels, which hold the image; damp the others."""
        convolution = self[0]
        assert isinstance(convolution, nn.Conv2d)
        weight, taps = convolution.weight, bilinear_taps(scale)
        channels = weight.shape[0] // scale**2
        kernels = torch.einsum("iy,jx->ijyx", taps, taps).flatten(0, 1)
        with torch.no_grad():
            weight.mul_(0.1)
            weight[:, :channels] = 0
            for channel in range(channels):
                weight[channel * scale**2 : (channel + 1) * scale**2, channel] = kernels
            if convolution.bias is not None:
                convolution.bias.zero_()


def bilinear_taps(scale: int) -> Tensor:
    """Return the weights of a pixel and its two neighbours in each of the pixels that it becomes: (scale, 3)."""
    offset = (torch.arange(scale) + 0.5) / scale - 0.5
    before, after = (-offset).clamp(min=0), offset.clamp(min=0)
    return torch.stack([before, 1 - before - after, after], dim=1)


class PixelShuffleUpsampler(nn.Sequential):
    """3×3 convolution C → 64, LeakyReLU(0.01), one shuffle of 64 channels a factor of 2 (or one of 3), 3×3 64 → image.

    Args:
        dim: C.
        channels: Of the image.
        scale: r, from tokens to pixels of the output: 1, 2, 3, 4 or 8.
    """

    WIDTH = 64

    def __init__(self, dim: int, channels: int, scale: int) -> None:
        super().__init__(
            nn.Conv2d(dim, self.WIDTH, 3, padding=1),
            nn.LeakyReLU(0.01),
            *_shuffle_stages(self.WIDTH, scale),
            nn.Conv2d(self.WIDTH, channels, 3, padding=1),
        )


UPSAMPLERS: dict[str, type[PixelShuffleDirect] | type[PixelShuffleUpsampler]] = {
    "light": PixelShuffleDirect,
    "classical": PixelShuffleUpsampler,
}
