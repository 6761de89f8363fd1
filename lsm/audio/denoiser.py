"""The waveform denoiser: a 1D U-Net of convolutions with a linear recurrent unit at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.errors import OptionError
from lsm.sequence import LRU


class DownPool(nn.Module):
    """Strided convolution that halves the length and doubles the channels: (B, f, T) → (B, 2f, T//2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 2 * channels, 2, stride=2)

    def forward(self, signal: Tensor) -> Tensor:
        """Map (B, f, T), T at least 2."""
        return self.conv(signal)


class UpPool(nn.Module):
    """Transposed convolution that doubles the length and halves the channels: (B, 2f, T) → (B, f, 2T)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(2 * channels, channels, 2, stride=2)

    def forward(self, signal: Tensor) -> Tensor:
        """Map (B, 2f, T)."""
        return self.conv(signal)


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two convolutions of three taps, each with ReLU; the length stays."""
    return nn.Sequential(
        nn.Conv1d(channels_in, channels_out, 3, padding=1),
        nn.ReLU(),
        nn.Conv1d(channels_out, channels_out, 3, padding=1),
        nn.ReLU(),
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
        signal, skips = F.pad(noisy, (0, max(0, self.downsampling - length))), []
        for block, pool in zip(self.down_blocks, self.down_pools, strict=True):
            skips.append(block(signal))
            signal = pool(skips[-1])
        signal = self.lru(signal.transpose(1, 2)).transpose(1, 2)
        for pool, block, skip in zip(self.up_pools, self.up_blocks, reversed(skips), strict=True):
            signal = pool(signal)
            if signal.shape[-1] != skip.shape[-1]:
                signal = F.interpolate(signal, skip.shape[-1], mode="linear")
            signal = block(torch.cat([skip, signal], dim=1))
        return self.final(signal)[..., :length]
