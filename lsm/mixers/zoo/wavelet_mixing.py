"""Mixers of wavelet coefficients, in one and two dimensions: transform, mix, transform back, add the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.errors import OptionError, unknown_name
from lsm.mixers.base import LINEAR, MixerProperties, Size, TokenMixer, full, without_autocast
from lsm.mixers.zoo.heads import heads_in
from lsm.mixers.zoo.wavelets import analyse, filter_pair, synthesise, wavelet_taps


class SubbandAttention(nn.Module):
    """Attention among the few coefficients that stand at one place, each of another subband or level.

    Args:
        dim: C.
        subbands: S, how many there are; each has a learned offset that tells it from the others.
        heads: Heads; the largest divisor of C up to this many is taken.
        feed_forward: Make it a transformer's layer: norms, a residual, and a feed-forward network of width C.
    """

    def __init__(self, dim: int, subbands: int, heads: int, *, feed_forward: bool) -> None:
        super().__init__()
        self.heads = heads_in(dim, heads)
        self.offsets = nn.Parameter(torch.randn(subbands, dim) * 0.02)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2)) if feed_forward else None
        self.mlp = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim)) if feed_forward else None

    def forward(self, subbands: Tensor) -> Tensor:
        """Mix coefficients (…, S, C) among the S of each place."""
        if self.norms is None or self.mlp is None:
            return self._attend(subbands)
        mixed = subbands + self._attend(self.norms[0](subbands))
        return mixed + self.mlp(self.norms[1](mixed))

    def _attend(self, subbands: Tensor) -> Tensor:
        qkv = self.qkv(subbands + self.offsets)
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).movedim((-3, -2), (0, -3)).unbind(0)
        # The products of a handful of short vectors are faster as sums than as a batch of tiny matrices.
        scores = (query.unsqueeze(-2) * key.unsqueeze(-3)).sum(-1) * query.shape[-1] ** -0.5
        mixed = (scores.softmax(-1).to(value.dtype).unsqueeze(-1) * value.unsqueeze(-3)).sum(-2)
        return self.out_proj(mixed.movedim(-3, -2).flatten(-2))


class WaveletMixing(TokenMixer):
    """Mixing of the wavelet coefficients of each channel along the tokens.

    Paper: Daubechies 1992, Ten Lectures on Wavelets; mixers as in the library spectrans 0.1.0.
    Equation: y = x + W⁻¹ M W x, W the wavelet transform of `levels` levels.
    Cost: n.
    Parameters: (levels + 1)·C²; pointwise (levels + 1)·positions·C; level 4·C² + (levels + 5)·C.

    Args:
        dim: C.
        sequence: See `TokenMixer`; the tokens of an image are one sequence in raster order.
        wavelet: "haar", "db1" … "db20" or "sym2" … "sym20".
        levels: J.
        mode: "pointwise": a weight for each coefficient, from 1; "channel": a matrix over the channels at each level,
            from the identity; "level": attention across the coefficients of all levels that stand at one place.
        positions: Of the weights of a level; they are interpolated to its length.
        heads: Of the attention across levels.

    Raises:
        OptionError: On an unknown wavelet or mode, or numbers below 1.
    """

    properties = MixerProperties(LINEAR, frequency_domain=True)
    MODES = ("pointwise", "channel", "level")

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        wavelet: str = "db2",
        levels: int = 2,
        mode: str = "channel",
        positions: int = 16,
        heads: int = 4,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        _check(wavelet, levels, mode, self.MODES)
        if positions < 1:
            raise OptionError(f"The weights of wavelet coefficients need at least 1 position, not {positions}.")
        self.wavelet, self.levels, self.mode = wavelet, levels, mode
        self.weight, self.attention = None, None
        if mode == "pointwise":
            self.weight = nn.Parameter(torch.ones(levels + 1, dim, positions))
        elif mode == "channel":
            self.weight = nn.Parameter(torch.eye(dim).repeat(levels + 1, 1, 1))
        else:
            self.attention = SubbandAttention(dim, levels + 1, heads, feed_forward=False)

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        parts = [part.to(tokens.dtype) for part in self.transform(tokens)]
        return tokens + self.inverse(self.mix_levels(parts), tokens.shape[1]).to(tokens.dtype)

    def transform(self, tokens: Tensor) -> list[Tensor]:
        """Compute the coefficients of tokens (B, L, C): J details from fine to coarse, and the approximation."""
        coarse, pair, parts = full(tokens), filter_pair(self.wavelet, full(tokens)), []
        with without_autocast(tokens):
            for _ in range(self.levels):
                coarse, detail = analyse(coarse, pair, 1)
                parts.append(detail)
        return [*parts, coarse]

    def inverse(self, parts: list[Tensor], length: int) -> Tensor:
        """Undo `transform` for tokens of a length."""
        *details, coarse = (full(part) for part in parts)
        pair = filter_pair(self.wavelet, coarse)
        lengths = [length, *(detail.shape[1] for detail in details[:-1])]
        with without_autocast(coarse):
            for detail, finer in zip(reversed(details), reversed(lengths), strict=True):
                coarse = synthesise(coarse, detail, pair, 1, finer)
        return coarse

    def mix_levels(self, parts: list[Tensor]) -> list[Tensor]:
        """Mix coefficients, a list of (B, L_j, C)."""
        if self.attention is not None:
            return self._attend(parts, self.attention)
        assert self.weight is not None
        if self.mode == "channel":
            return [part @ weight.to(part.dtype) for part, weight in zip(parts, self.weight, strict=True)]
        weights = (full(weight)[None] for weight in self.weight)
        stretched = (
            F.interpolate(weight, size=part.shape[1], mode="linear", align_corners=True).transpose(1, 2)
            for part, weight in zip(parts, weights, strict=True)
        )
        return [part * weight.to(part.dtype) for part, weight in zip(parts, stretched, strict=True)]

    @staticmethod
    def _attend(parts: list[Tensor], attention: SubbandAttention) -> list[Tensor]:
        """Attend from each coefficient to those of other levels at its place; coarse ones stand at several."""
        finest = parts[0].shape[1]
        places = torch.arange(finest, device=parts[0].device)
        lengths = [part.shape[1] for part in parts]
        aligned = [part.index_select(1, places * n // finest) for part, n in zip(parts, lengths, strict=True)]
        mixed = attention(torch.stack(aligned, dim=2)).unbind(2)
        # A coarse coefficient takes what it got at the first of its places.
        firsts = [-(-torch.arange(n, device=places.device) * finest // n) for n in lengths]
        return [level.index_select(1, first) for level, first in zip(mixed, firsts, strict=True)]


class WaveletMixing2D(TokenMixer):
    """Mixing of the subbands LL, LH, HL and HH of an image's wavelet transform.

    Paper: Daubechies 1992, Ten Lectures on Wavelets; mixers as in the library spectrans 0.1.0.
    Equation: y = x + W⁻¹ M W x, W the 2D wavelet transform of `levels` levels.
    Cost: n.
    Parameters: (3·levels + 1)·(C² + 11·C); cross and attention: see `SubbandAttention`, one a level.

    Args:
        dim: C.
        sequence: See `TokenMixer`; a sequence is an image of one row.
        wavelet: See `WaveletMixing`.
        levels: J.
        mode: "subband": a small convolutional network a subband (depthwise 3×3, GELU, 1×1); "cross": attention across
            the subbands that stand at one place; "attention": a transformer's layer across them.
        heads: Of the attention.

    Raises:
        OptionError: On an unknown wavelet or mode, or numbers below 1.
    """

    properties = MixerProperties(LINEAR, frequency_domain=True)
    MODES = ("subband", "cross", "attention")

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        wavelet: str = "db2",
        levels: int = 1,
        mode: str = "subband",
        heads: int = 4,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        _check(wavelet, levels, mode, self.MODES)
        self.wavelet, self.levels, self.mode = wavelet, levels, mode
        counts = [3] * (levels - 1) + [4]  # the coarsest level has the approximation too
        self.mixers = nn.ModuleList(
            nn.ModuleList(_subband_network(dim) for _ in range(count))
            if mode == "subband"
            else SubbandAttention(dim, count, heads, feed_forward=mode == "attention")
            for count in counts
        )

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        levels = [level.to(tokens.dtype) for level in self.transform(tokens, size)]
        mixed = [self.mix_level(level, mixer) for level, mixer in zip(levels, self.mixers, strict=True)]
        return tokens + self.inverse(mixed, size).to(tokens.dtype)

    def transform(self, tokens: Tensor, size: Size) -> list[Tensor]:
        """Compute the subbands of tokens (B, L, C): for each level, fine to coarse, (B, 3, H_j, W_j, C) of LH, HL, HH.

        L and H are the low and high pass, first along the width, then along the height. The coarsest level has LL as
        a fourth.
        """
        coarse = full(tokens).unflatten(1, size)
        pair, levels = filter_pair(self.wavelet, coarse), []
        with without_autocast(tokens):
            for _ in range(self.levels):
                left, right = analyse(coarse, pair, 2)
                coarse, left_high = analyse(left, pair, 1)
                levels.append(torch.stack([left_high, *analyse(right, pair, 1)], dim=1))
        levels[-1] = torch.cat([levels[-1], coarse[:, None]], dim=1)
        return levels

    def inverse(self, levels: list[Tensor], size: Size) -> Tensor:
        """Undo `transform` for an image of `size`: tokens (B, L, C)."""
        coarse = full(levels[-1])[:, 3]
        pair = filter_pair(self.wavelet, coarse)
        sizes = [size, *(tuple(level.shape[2:4]) for level in levels[:-1])]
        with without_autocast(coarse):
            for level, (height, width) in zip(reversed(levels), reversed(sizes), strict=True):
                left_high, right_low, right_high = full(level)[:, :3].unbind(1)
                left = synthesise(coarse, left_high, pair, 1, height)
                right = synthesise(right_low, right_high, pair, 1, height)
                coarse = synthesise(left, right, pair, 2, width)
        return coarse.flatten(1, 2)

    @staticmethod
    def mix_level(level: Tensor, mixer: nn.Module) -> Tensor:
        """Mix the subbands of one level, (B, S, H, W, C)."""
        if isinstance(mixer, SubbandAttention):
            return mixer(level.movedim(1, 3)).movedim(3, 1)
        assert isinstance(mixer, nn.ModuleList)
        images = level.movedim(-1, 2).unbind(1)
        return torch.stack([net(image) for net, image in zip(mixer, images, strict=True)], dim=1).movedim(2, -1)


def _subband_network(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(dim, dim, 3, padding=1, groups=dim), nn.GELU(), nn.Conv2d(dim, dim, 1))


def _check(wavelet: str, levels: int, mode: str, modes: tuple[str, ...]) -> None:
    """Raise unless the options of a wavelet mixer are known.

    Raises:
        OptionError: On an unknown wavelet or mode, or a number of levels below 1.
    """
    wavelet_taps(wavelet)
    if levels < 1:
        raise OptionError(f"A wavelet mixer needs at least 1 level, not {levels}.")
    if mode not in modes:
        raise OptionError(unknown_name("mode of a wavelet mixer", mode, modes))
