"""Operators on the lowest Fourier modes: spectral convolutions, the Fourier neural operator, and the adaptive one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm.errors import OptionError, unknown_name
from lsm.mixers.base import LOG_LINEAR, MixerProperties, Size, TokenMixer, full, in_full_precision
from lsm.mixers.zoo.spectrum import (
    Sizes,
    from_modes,
    from_side_by_side,
    lowest_modes,
    mode_counts,
    pair_matrix,
    side_by_side,
)

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU, "identity": nn.Identity}
NORMS = ("layer", "none")


def activation_of(name: str) -> nn.Module:
    """Build an activation.

    Raises:
        OptionError: On an unknown name.
    """
    if name not in ACTIVATIONS:
        raise OptionError(unknown_name("activation", name, ACTIVATIONS))
    return ACTIVATIONS[name]()


def _mode_rows(modes: Sizes, sizes: Sizes) -> list[int]:
    """Return which of all modes those are that signals of `sizes` have, in the order of `lowest_modes`."""
    rows = [0]
    for axis, (count, size) in enumerate(zip(modes, sizes, strict=True)):
        last = axis == len(modes) - 1
        low, high = mode_counts(count, size, last=last)
        every = count if last else 2 * count
        rows = [row * every + position for row in rows for position in (*range(low), *range(every - high, every))]
    return rows


class SpectralConv(TokenMixer):
    """Engine of the operators: a learned complex matrix for each of the lowest modes; the other modes are cut off.

    Args:
        dim: C.
        modes: Frequencies kept along each axis: 0 … m−1 of the last, −m … m−1 of the others.
        blocks: Blocks on the diagonal of each matrix; 1 is the paper's full matrix.
        sequence: See `TokenMixer`.

    Raises:
        OptionError: If there are no modes, or the blocks do not divide the channels.
    """

    properties = MixerProperties(LOG_LINEAR, frequency_domain=True)

    def __init__(self, dim: int, modes: Sizes, blocks: int, *, sequence: bool) -> None:
        super().__init__(dim, sequence=sequence)
        if min(modes) < 1:
            raise OptionError(f"An operator on Fourier modes needs at least 1 mode an axis, not {modes}.")
        if blocks < 1 or dim % blocks:
            raise OptionError(f"The {blocks} blocks of an operator on Fourier modes do not divide its {dim} channels.")
        self.modes, self.blocks = modes, blocks
        count = modes[-1] * math.prod(2 * m for m in modes[:-1])
        self.weight = nn.Parameter(torch.randn(count, blocks, dim // blocks, dim // blocks, 2) * (blocks / dim))

    @in_full_precision
    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Convolve tokens (B, L, C)."""
        signal = self.on_modes_grid(tokens, size)
        sizes = tuple(signal.shape[1:-1])
        spectrum = lowest_modes(signal, self.modes)
        rows = torch.tensor(_mode_rows(self.modes, sizes), device=tokens.device)
        weight = pair_matrix(full(self.weight).index_select(0, rows))
        vectors = side_by_side(spectrum.unflatten(-1, (self.blocks, -1))).flatten(1, -3).permute(1, 2, 0, 3)
        mixed = from_side_by_side((vectors @ weight).permute(2, 0, 1, 3)).reshape(spectrum.shape)
        return from_modes(mixed, sizes).reshape(tokens.shape)

    def on_modes_grid(self, tokens: Tensor, size: Size) -> Tensor:
        """Lay tokens (B, L, C) out with as many axes as there are modes."""
        return tokens if len(self.modes) == 1 else tokens.unflatten(1, size)


class SpectralConv1d(SpectralConv):
    """A learned complex matrix for each of the lowest frequencies along the tokens.

    Paper: Li et al. 2021, FNO, arXiv 2010.08895, its spectral convolution.
    Equation: y = F⁻¹(R_k (F x)_k) for k < modes, 0 for the others.
    Cost: n log n.
    Parameters: 2·C²·modes//blocks.

    Args:
        dim: C.
        sequence: See `TokenMixer`; the tokens of an image are one sequence in raster order.
        modes: Frequencies 0 … modes−1.
        blocks: See `SpectralConv`.

    Raises:
        OptionError: If there are no modes, or the blocks do not divide the channels.
    """

    def __init__(self, dim: int, *, sequence: bool = False, modes: int = 4, blocks: int = 1) -> None:
        super().__init__(dim, (modes,), blocks, sequence=sequence)


class SpectralConv2d(SpectralConv):
    """A learned complex matrix for each of the lowest frequencies of the image.

    Paper: Li et al. 2021, FNO, arXiv 2010.08895, its spectral convolution.
    Equation: y = F⁻¹(R_k (F x)_k) for |k_y| ≤ modes, 0 ≤ k_x < modes, 0 for the others.
    Cost: n log n.
    Parameters: 4·C²·modes²//blocks; of a sequence 2·C²·modes//blocks.

    Args:
        dim: C.
        sequence: See `TokenMixer`; of a sequence it is `SpectralConv1d`.
        modes: Frequencies 0 … modes−1 along the width, −modes … modes−1 along the height.
        blocks: See `SpectralConv`.

    Raises:
        OptionError: If there are no modes, or the blocks do not divide the channels.
    """

    def __init__(self, dim: int, *, sequence: bool = False, modes: int = 2, blocks: int = 1) -> None:
        super().__init__(dim, (modes,) if sequence else (modes, modes), blocks, sequence=sequence)


class FourierNeuralOperator(TokenMixer):
    """A spectral convolution beside a linear map of each token, and an activation.

    Paper: Li et al. 2021, FNO, arXiv 2010.08895.
    Equation: y = σ(W x + F⁻¹(R F x)).
    Cost: n log n.
    Parameters: 4·C²·modes²//blocks + C² + C; of a sequence 2·C²·modes//blocks + C² + C.

    Args:
        dim: C.
        sequence: See `TokenMixer`.
        modes: See `SpectralConv2d`.
        blocks: See `SpectralConv`.
        activation: "gelu", "relu", "silu" or "identity".

    Raises:
        OptionError: As `SpectralConv2d`, or on an unknown activation.
    """

    properties = MixerProperties(LOG_LINEAR, frequency_domain=True)

    def __init__(
        self, dim: int, *, sequence: bool = False, modes: int = 2, blocks: int = 1, activation: str = "gelu"
    ) -> None:
        super().__init__(dim, sequence=sequence)
        self.conv = SpectralConv2d(dim, sequence=sequence, modes=modes, blocks=blocks)
        self.linear = nn.Linear(dim, dim)
        self.activation = activation_of(activation)

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        return self.activation(self.linear(tokens) + self.conv(tokens, size))


class FNOBlock(TokenMixer):
    """A Fourier neural operator and a feed-forward network, each after a norm and with a residual.

    Paper: Li et al. 2021, FNO, arXiv 2010.08895, in a transformer's block.
    Equation: u = x + FNO(N x); y = u + MLP(N u).
    Cost: n log n.
    Parameters: 4·C²·modes²//blocks + C² + 6·C + int(C·mlp_ratio)·(2·C + 1); less for a sequence.

    Args:
        dim: C.
        sequence: See `TokenMixer`.
        modes: See `SpectralConv2d`.
        blocks: See `SpectralConv`.
        mlp_ratio: Width of the feed-forward network over C.
        norm: "layer" or "none".
        activation: See `FourierNeuralOperator`.

    Raises:
        OptionError: As `SpectralConv2d`, or on an unknown norm or activation.
    """

    properties = MixerProperties(LOG_LINEAR, frequency_domain=True)

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        modes: int = 2,
        blocks: int = 1,
        mlp_ratio: float = 1.0,
        norm: str = "layer",
        activation: str = "gelu",
    ) -> None:
        super().__init__(dim, sequence=sequence)
        if norm not in NORMS:
            raise OptionError(unknown_name("norm of an FNO block", norm, NORMS))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) if norm == "layer" else nn.Identity() for _ in range(2))
        self.operator = FourierNeuralOperator(dim, sequence=sequence, modes=modes, blocks=blocks, activation=activation)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), activation_of(activation), nn.Linear(hidden, dim))

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        mixed = tokens + self.operator(self.norms[0](tokens), size)
        return mixed + self.mlp(self.norms[1](mixed))


class AFNOMixing(TokenMixer):
    """One small complex MLP for all of the lowest modes, whose weak outputs are cut to zero.

    Paper: Guibas et al. 2022, AFNO, arXiv 2111.13587.
    Equation: y = F⁻¹ S_τ(W₂ a(W₁ F x + b₁) + b₂), S_τ the soft threshold; on the lowest modes, 0 for the others.
    Cost: n log n.
    Parameters: 4·C·int(C·mlp_ratio) + 2·int(C·mlp_ratio) + 2·C; C is modes_channels where that is not 0.

    Args:
        dim: C.
        sequence: See `TokenMixer`.
        modes: Frequencies kept along the tokens' axes, see `SpectralConv2d`; 0 keeps all.
        modes_channels: 0: the MLP maps the C channels. Otherwise a transform along the channels too, of which it maps
            this many lowest frequencies.
        mlp_ratio: Width of the MLP over what it maps.
        activation: Of real and imaginary parts: "gelu", "relu", "silu" or "identity".
        threshold: τ, in units of the orthonormal spectrum.

    Raises:
        OptionError: On a number out of range or an unknown activation.
    """

    properties = MixerProperties(LOG_LINEAR, frequency_domain=True)

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        modes: int = 0,
        modes_channels: int = 0,
        mlp_ratio: float = 1.0,
        activation: str = "gelu",
        threshold: float = 0.01,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        if modes < 0 or not 0 <= modes_channels <= dim // 2 + 1 or threshold < 0:
            raise OptionError(
                "AFNO needs modes and threshold of at least 0, and modes_channels from 0 to "
                f"{dim // 2 + 1}, not {modes}, {threshold} and {modes_channels}."
            )
        self.modes, self.modes_channels, self.threshold = modes, modes_channels, threshold
        width = modes_channels or dim
        hidden = int(width * mlp_ratio)
        if hidden < 1:
            raise OptionError(f"The MLP of AFNO needs a width of at least 1, but mlp_ratio {mlp_ratio} gives {hidden}.")
        self.weight1 = nn.Parameter(torch.randn(width, hidden, 2) / math.sqrt(2 * width))
        self.bias1 = nn.Parameter(torch.zeros(2 * hidden))
        self.weight2 = nn.Parameter(torch.randn(hidden, width, 2) / math.sqrt(2 * hidden))
        self.bias2 = nn.Parameter(torch.zeros(2 * width))
        self.activation = activation_of(activation)

    @in_full_precision
    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        signal = self.on_grid(tokens, size)
        sizes = tuple(signal.shape[1:-1])
        if self.modes_channels:
            signal = signal.unsqueeze(-1)
            sizes = (*sizes, self.dim)
        kept = tuple(self.modes or length for length in sizes)
        if self.modes_channels:
            kept = (*kept[:-1], self.modes_channels)
        # The transform gives amplitudes; the MLP, which is not linear, should meet the same spread at every size.
        scale = math.sqrt(math.prod(sizes))
        spectrum = lowest_modes(signal, kept) * scale
        if self.modes_channels:
            spectrum = spectrum.squeeze(-1)
        mixed = from_side_by_side(self._perceive(side_by_side(spectrum))) / scale
        if self.modes_channels:
            mixed = mixed.unsqueeze(-1)
        return from_modes(mixed, sizes).reshape(tokens.shape)

    def _perceive(self, modes: Tensor) -> Tensor:
        """Map side-by-side modes (…, 2C) through the MLP and the soft threshold."""
        hidden = self.activation(modes @ pair_matrix(full(self.weight1)) + full(self.bias1))
        return F.softshrink(hidden @ pair_matrix(full(self.weight2)) + full(self.bias2), self.threshold)
