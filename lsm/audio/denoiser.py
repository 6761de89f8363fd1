"""The waveform denoiser: a 1D U-Net of convolutions with a linear recurrent unit at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.errors import OptionError
from lsm.sequence import LRU
from lsm.sequence.unet1d import Downsample, Upsample


class DownPool(nn.Module):
    """Strided convolution that halves the length and doubles the channels: (B, T, f) → (B, T//2, 2f)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Downsample(channels, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, T, f), T at least 2; an odd last token is dropped."""
        return self.conv(tokens[:, : tokens.shape[1] // 2 * 2])


class UpPool(nn.Module):
    """Transposed convolution that doubles the length and halves the channels: (B, T, 2f) → (B, 2T, f)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = Upsample(channels, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, T, 2f)."""
        return self.conv(tokens)


class Conv3(nn.Conv1d):
    """Convolution of three taps over tokens (B, T, C) that keeps the length.

    It runs as a 2D convolution of an image of one row with its channels last in memory, which on a CPU takes a half
    to a fifth of the time of a 1D one where there are few channels.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, T, C)."""
        row = tokens.transpose(1, 2).unsqueeze(2)
        return F.conv2d(row, self.weight.unsqueeze(2), self.bias, padding=(0, 1)).squeeze(2).transpose(1, 2)


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two convolutions of three taps, each with ReLU; the length stays."""
    return nn.Sequential(
        Conv3(channels_in, channels_out),
        nn.ReLU(inplace=True),
        Conv3(channels_out, channels_out),
        nn.ReLU(inplace=True),
    )


class UNetLRUAudio(nn.Module):
    """Denoiser of waveforms (B, in_channels, T) → (B, out_channels, T), any T at least 1.

    Encoder stage f: two convolutions to f channels, whose output is the skip; a strided convolution to 2f channels.
    Bottom: an LRU with N = H = 2·features[-1] and without γ. Decoder stage f: a transposed convolution, concatenation
    with the skip, two convolutions. At the end a convolution of one tap.

    Args:
        in_channels: Channels of the noisy signal.
        out_channels: Channels of the clean signal.
        features: f of each stage; each twice the one before, as the decoder halves the channels from stage to stage.

    Raises:
        OptionError: If `features` is empty or does not double.
    """

    def __init__(
        self, in_channels: int = 1, out_channels: int = 1, features: Sequence[int] = (16, 32, 64, 128)
    ) -> None:
        super().__init__()
        if not features or any(b != 2 * a for a, b in pairwise(features)):
            raise OptionError(f"features must double from stage to stage, as in (16, 32, 64); not {tuple(features)}.")
        self.in_channels, self.features = in_channels, tuple(features)
        self.settings = {"in_channels": in_channels, "out_channels": out_channels, "features": list(features)}
        widths_in = [in_channels, *(2 * f for f in features[:-1])]
        self.down_blocks = nn.ModuleList(_block(c, f) for c, f in zip(widths_in, features, strict=True))
        self.down_pools = nn.ModuleList(DownPool(f) for f in features)
        self.lru = LRU(2 * features[-1], 2 * features[-1], normalize=False)
        self.up_pools = nn.ModuleList(UpPool(f) for f in reversed(features))
        self.up_blocks = nn.ModuleList(_block(2 * f, f) for f in reversed(features))
        self.final = nn.Conv1d(features[0], out_channels, 1)

    @property
    def downsampling(self) -> int:
        """Samples to a step of the LRU; shorter signals are padded to this many."""
        return 2 ** len(self.features)

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise signals (B, in_channels, T)."""
        length = noisy.shape[-1]
        tokens, skips = F.pad(noisy, (0, max(0, self.downsampling - length))).transpose(1, 2), []
        for block, pool in zip(self.down_blocks, self.down_pools, strict=True):
            skips.append(block(tokens))
            tokens = pool(skips[-1])
        tokens = self.lru(tokens)
        for pool, block, skip in zip(self.up_pools, self.up_blocks, reversed(skips), strict=True):
            tokens = pool(tokens)
            if tokens.shape[1] != skip.shape[1]:
                tokens = F.interpolate(tokens.transpose(1, 2), skip.shape[1], mode="linear").transpose(1, 2)
            tokens = block(torch.cat([skip, tokens], dim=-1))
        return self.final(tokens.transpose(1, 2))[..., :length]
