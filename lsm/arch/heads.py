"""Reconstruction: from features at the low resolution to the large image (paper §3.1)."""

from __future__ import annotations

from torch import nn


def _shuffle_stages(width: int, scale: int) -> list[nn.Module]:
    """Enlarge by 3 in one step, else by 2 as often as needed."""
    factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
    stages: list[nn.Module] = []
    for factor in factors:
        stages += [nn.Conv2d(width, width * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return stages


class LightHead(nn.Sequential):
    """3×3 convolution C → 3r², PixelShuffle(r).

    Args:
        dim: C.
        channels: Of the image.
        scale: r.
    """

    def __init__(self, dim: int, channels: int, scale: int) -> None:
        super().__init__(nn.Conv2d(dim, channels * scale**2, 3, padding=1), nn.PixelShuffle(scale))


class ClassicalHead(nn.Sequential):
    """3×3 convolution C → 64, LeakyReLU(0.01), one shuffle of 64 channels a factor of 2 (or one of 3), 3×3 64 → image.

    Args:
        dim: C.
        channels: Of the image.
        scale: r: 2, 3, 4 or 8.
    """

    WIDTH = 64

    def __init__(self, dim: int, channels: int, scale: int) -> None:
        super().__init__(
            nn.Conv2d(dim, self.WIDTH, 3, padding=1),
            nn.LeakyReLU(0.01),
            *_shuffle_stages(self.WIDTH, scale),
            nn.Conv2d(self.WIDTH, channels, 3, padding=1),
        )


HEADS: dict[str, type[LightHead] | type[ClassicalHead]] = {"light": LightHead, "classical": ClassicalHead}
