"""One builder of 1D U-Nets that see far: by recurrence, by dilation, by attention, or by fusing all scales.

The scaffold is the same for all: at each stage a mixer over time, whose output is the skip, and a strided convolution
that doubles the channels; a mixer at the bottom; and the way back with transposed convolutions and added skips.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.errors import OptionError, unknown_name
from lsm.sequence.baselines import AttentionMixer, ConvMixer, DilatedMixer
from lsm.sequence.lru import LRU

Mixer = Callable[[int], nn.Module]
"""Makes a mixer of a width: a module (B, T, C) → (B, T, C)."""


class Downsample(nn.Conv1d):
    """Convolution with kernel = stride = factor that doubles the channels: (B, T, C) → (B, T/factor, 2C)."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(channels, 2 * channels, factor, stride=factor)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map each group of `factor` tokens; a matrix product, as the groups do not overlap."""
        groups = rearrange(tokens, "b (t f) c -> b t (f c)", f=self.stride[0])  # a view; the few weights are reordered
        return F.linear(groups, self.weight.transpose(1, 2).flatten(1), self.bias)


class Upsample(nn.ConvTranspose1d):
    """Transposed convolution with kernel = stride = factor that halves the channels: (B, T, 2C) → (B, factor·T, C).

    Args:
        channels: C, those of the output.
        factor: Kernel and stride.
    """

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(2 * channels, channels, factor, stride=factor)

    def forward(self, tokens: Tensor) -> Tensor:  # type: ignore[override]
        """Map each token to `factor` tokens."""
        assert self.bias is not None
        weight = rearrange(self.weight, "i o f -> (f o) i")
        groups = F.linear(tokens, weight, self.bias.repeat(self.stride[0]))
        return rearrange(groups, "b t (f c) -> b (t f) c", f=self.stride[0])


class MixerStage(nn.Module):
    """A mixer, then LayerNorm over the channels and SiLU; the last stage of a network is the mixer alone.

    Args:
        mixer: A module (B, T, C) → (B, T, C).
        channels: C.
        last: Whether norm and activation are left out.
    """

    def __init__(self, mixer: nn.Module, channels: int, last: bool = False) -> None:
        super().__init__()
        self.mixer = mixer
        self.norm = nn.Identity() if last else nn.LayerNorm(channels)
        self.activation = nn.Identity() if last else nn.SiLU()

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix tokens (B, T, C)."""
        return self.activation(self.norm(self.mixer(tokens)))


class UNet1d(nn.Module):
    """A U-Net over sequences (B, C, T) of any length T.

    Args:
        d_model: C, channels in and out; stage i works with C·2^i.
        n_layers: Stages, at least 1.
        downsample_factor: Of each stage, at least 2.
        mixer: Makes the mixer of a width.
        causal: Whether each transposed convolution's output is shifted right by factor − 1 samples (one, for a factor
            of 2), so that, if the mixers look back only, no output sample depends on a later input sample.
        fuse_scales: Whether each decoder stage reads the skips of all scales, concatenated, instead of adding its own.

    Raises:
        OptionError: If a number is out of range.
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        downsample_factor: int,
        mixer: Mixer,
        *,
        causal: bool = False,
        fuse_scales: bool = False,
    ) -> None:
        super().__init__()
        if d_model < 1 or n_layers < 1 or downsample_factor < 2:
            raise OptionError(
                f"A 1D U-Net needs d_model ≥ 1, n_layers ≥ 1 and downsample_factor ≥ 2, "
                f"not {d_model}, {n_layers} and {downsample_factor}."
            )
        self.d_model, self.n_layers, self.factor, self.causal = d_model, n_layers, downsample_factor, causal
        widths = [d_model * 2**level for level in range(n_layers)]
        self.encoder = nn.ModuleList(MixerStage(mixer(width), width) for width in widths)
        self.downs = nn.ModuleList(Downsample(width, downsample_factor) for width in widths)
        self.bottleneck = MixerStage(mixer(2 * widths[-1]), 2 * widths[-1])
        self.ups = nn.ModuleList(Upsample(width, downsample_factor) for width in widths)
        self.decoder = nn.ModuleList(
            MixerStage(mixer(width), width, last=level == 0) for level, width in enumerate(widths)
        )
        self.fusions = nn.ModuleList(nn.Linear(sum(widths) + width, width) for width in widths) if fuse_scales else None

    def forward(self, sequence: Tensor) -> Tensor:
        """Map sequences (B, C, T), T at least 1, to sequences of the same shape."""
        length = sequence.shape[-1]
        padded = F.pad(sequence, (0, -length % self.factor**self.n_layers))
        tokens, skips = padded.transpose(1, 2), []
        for stage, down in zip(self.encoder, self.downs, strict=True):
            skips.append(stage(tokens))
            tokens = down(skips[-1])
        tokens = self.bottleneck(tokens)
        for level in reversed(range(self.n_layers)):
            tokens = self.ups[level](tokens)
            if self.causal:
                tokens = delay(tokens, self.factor - 1)
            if self.fusions is None:
                tokens = tokens + skips[level]
            else:
                scales = [self._at_level(skip, level - other) for other, skip in enumerate(skips)]
                tokens = self.fusions[level](torch.cat([*scales, tokens], dim=-1))
            tokens = self.decoder[level](tokens)
        return tokens.transpose(1, 2)[..., :length]

    def _at_level(self, tokens: Tensor, levels: int) -> Tensor:
        """Move tokens (B, T, C) `levels` stages down (means of groups) or, if negative, up (repetition)."""
        ratio = self.factor ** abs(levels)
        if levels >= 0:
            return reduce(tokens, "b (t f) c -> b t c", "mean", f=ratio)
        repeated = repeat(tokens, "b t c -> b (t f) c", f=ratio)
        return delay(repeated, ratio - 1) if self.causal else repeated


def delay(tokens: Tensor, steps: int) -> Tensor:
    """Shift tokens (B, T, C) to later times, with zeros before them; the length stays."""
    return F.pad(tokens, (0, 0, steps, 0))[:, : tokens.shape[1]]


KINDS = ("lru", "dilated", "attention", "multiscale")
"""What `build_unet` builds."""


def build_unet(
    kind: str | Mixer, d_model: int, n_layers: int, downsample_factor: int, *, causal: bool = False, d_state: int = 64
) -> UNet1d:
    """Build a 1D U-Net with one of four ways to see far, or with a mixer of any other kind.

    Args:
        kind: "lru" (recurrence), "dilated" (convolutions with doubling rates), "attention" (over time), or "multiscale"
            (plain convolutions, the skips of all scales concatenated at each decoder stage); or what makes the mixer of
            a width, e.g. `lsm.mixers.registry.sequence_mixer("gfnet")`.
        d_model: Channels in and out.
        n_layers: Stages.
        downsample_factor: Of each stage.
        causal: Whether no output sample may depend on a later input sample; another kind's mixers must look back only.
        d_state: States of each LRU; the other kinds have none.

    Raises:
        OptionError: On an unknown kind.
    """
    if callable(kind):
        return UNet1d(d_model, n_layers, downsample_factor, kind, causal=causal)
    mixers: dict[str, Mixer] = {
        "lru": lambda width: LRU(width, d_state),
        "dilated": lambda width: DilatedMixer(width, causal=causal),
        "attention": lambda width: AttentionMixer(width, causal=causal),
        "multiscale": lambda width: ConvMixer(width, causal=causal),
    }
    if kind not in mixers:
        raise OptionError(unknown_name("1D U-Net", kind, mixers))
    fuse = kind == "multiscale"
    return UNet1d(d_model, n_layers, downsample_factor, mixers[kind], causal=causal, fuse_scales=fuse)
