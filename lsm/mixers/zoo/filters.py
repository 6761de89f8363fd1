"""Global filters (GFNet): a learned complex factor for every frequency, a circular convolution of the image's size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsm.errors import OptionError, unknown_name
from lsm.mixers.base import LOG_LINEAR, MixerProperties, Size, TokenMixer, full, grid_axes, in_full_precision
from lsm.mixers.zoo.response import FrequencyResponse, frequency_response
from lsm.mixers.zoo.spectrum import Sizes, as_complex, resample

ACTIVATIONS = {"identity": nn.Identity, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class FourierFilter(nn.Module):
    """A complex factor for every frequency and channel, kept as real pairs at a trained size and resampled to others.

    Args:
        trained: Sizes (H, W) or (T,) whose frequencies the factors are kept for.
        channels: C.
        std: Standard deviation of the factors at the start.
        activation: Of real and imaginary parts: "identity", "sigmoid" or "tanh".

    Raises:
        OptionError: On an unknown activation or a size below 1.
    """

    def __init__(self, trained: Sizes, channels: int, *, std: float = 0.02, activation: str = "identity") -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise OptionError(unknown_name("activation of a filter", activation, ACTIVATIONS))
        if min(trained) < 1:
            raise OptionError(f"The trained size of a filter must be positive, not {trained}.")
        self.trained = trained
        self.weight = nn.Parameter(torch.randn(*trained[:-1], trained[-1] // 2 + 1, channels, 2) * std)
        self.activation = ACTIVATIONS[activation]()

    def pairs(self, sizes: Sizes) -> Tensor:
        """Return the factors for signals of `sizes` as real pairs, (f_1, …, f_k, C, 2)."""
        return resample(self.activation(full(self.weight)), self.trained, sizes)

    def frequencies(self) -> Tensor:
        """Return |f| of each factor in cycles a sample, (f_1, …, f_k): from 0 to ½ along one axis."""
        *others, last = self.trained
        squares = torch.fft.rfftfreq(last) ** 2
        for size in reversed(others):
            squares = torch.fft.fftfreq(size).view(-1, *[1] * squares.ndim) ** 2 + squares
        return squares.sqrt()


class FilterMixer(TokenMixer):
    """Engine of the global filters: transform a layout of the tokens, multiply, transform back.

    Args:
        dim: C.
        trained: Sizes that the filter is kept for.
        channels: Channels of the filter: C, or 1 if the channels are an axis of the transform.
        sequence: See `TokenMixer`.
        std: Standard deviation of the filter at the start.
        activation: Of the filter: "identity", "sigmoid" or "tanh".
        dropout: Chance to zero a number of the result in training.
    """

    properties = MixerProperties(LOG_LINEAR, frequency_domain=True)

    def __init__(
        self, dim: int, trained: Sizes, channels: int, *, sequence: bool, std: float, activation: str, dropout: float
    ) -> None:
        super().__init__(dim, sequence=sequence)
        self.filter = FourierFilter(trained, channels, std=std, activation=activation)
        self.dropout = nn.Dropout(dropout)

    @in_full_precision
    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Filter tokens (B, L, C)."""
        signal = self.signal(tokens, size)
        axes, sizes = grid_axes(signal), tuple(signal.shape[1:-1])
        spectrum = torch.fft.rfftn(signal, dim=axes) * as_complex(self.factors(sizes))
        return self.dropout(torch.fft.irfftn(spectrum, s=sizes, dim=axes).reshape(tokens.shape))

    def signal(self, tokens: Tensor, size: Size) -> Tensor:
        """Lay tokens (B, L, C) out as the signal (B, n_1, …, n_k, channels) that is filtered."""
        return self.on_grid(tokens, size)

    def factors(self, sizes: Sizes) -> Tensor:
        """Return the filter for a signal of `sizes` as real pairs."""
        return self.filter.pairs(sizes)

    @torch.no_grad()
    def frequency_response(self, *sizes: int) -> FrequencyResponse:
        """Describe the filter for signals of `sizes`, by default the trained ones."""
        sizes = sizes or self.filter.trained
        return frequency_response(as_complex(self.filter.pairs(sizes)), sizes)


class GlobalFilterMixing(FilterMixer):
    """A learned complex filter on the spectrum along the tokens.

    Paper: Rao et al. 2021, GFNet, arXiv 2107.00645, along one axis.
    Equation: y = F⁻¹(a(W) ⊙ F x), a an activation.
    Cost: n log n.
    Parameters: 2·C·(length//2 + 1).

    Args:
        dim: C.
        sequence: See `TokenMixer`; the tokens of an image are one sequence in raster order.
        length: Tokens that the filter is kept for; it is interpolated to other lengths.
        std: Standard deviation of the filter at the start.
        activation: Of the filter, on real and imaginary parts: "identity", "sigmoid" or "tanh".
        dropout: Chance to zero a number of the result in training.

    Raises:
        OptionError: On an unknown activation or a length below 1.
    """

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        length: int = 256,
        std: float = 0.02,
        activation: str = "identity",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, (length,), dim, sequence=sequence, std=std, activation=activation, dropout=dropout)

    def signal(self, tokens: Tensor, size: Size) -> Tensor:
        """Leave tokens (B, L, C) in one line."""
        return tokens


class GlobalFilterMixing2D(FilterMixer):
    """A learned complex filter on the spectrum of the image.

    Paper: Rao et al. 2021, GFNet, arXiv 2107.00645.
    Equation: y = F⁻¹(a(W) ⊙ F x), F over height and width (of a sequence: over tokens and channels).
    Cost: n log n.
    Parameters: 2·C·height·(width//2 + 1); of a sequence 2·height·(C//2 + 1).

    Args:
        dim: C.
        sequence: Filter the plane of tokens × channels of sequences.
        height: Of the images that the filter is kept for; it is interpolated to other sizes. The length of sequences.
        width: Of these images; of sequences it is C.
        std: See `GlobalFilterMixing`.
        activation: See `GlobalFilterMixing`.
        dropout: See `GlobalFilterMixing`.

    Raises:
        OptionError: On an unknown activation or a size below 1.
    """

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        height: int = 16,
        width: int = 16,
        std: float = 0.02,
        activation: str = "identity",
        dropout: float = 0.0,
    ) -> None:
        trained, channels = ((height, dim), 1) if sequence else ((height, width), dim)
        super().__init__(dim, trained, channels, sequence=sequence, std=std, activation=activation, dropout=dropout)

    def signal(self, tokens: Tensor, size: Size) -> Tensor:
        """Lay tokens (B, L, C) out as (B, H, W, C), or a sequence as (B, T, C, 1)."""
        return tokens.unsqueeze(-1) if self.sequence else self.on_grid(tokens, size)


class AdaptiveGlobalFilter(FilterMixer):
    """A global filter that starts weaker at high frequencies, with a penalty to ask for and dropout of frequencies.

    Paper: Rao et al. 2021, GFNet, arXiv 2107.00645; start, penalty and dropout as in the library spectrans 0.1.0.
    Equation: y = F⁻¹(D ⊙ a(W) ⊙ F x); W ~ N(0, (std/(1 + |f|/f₀))²) at the start, D drops frequencies in training.
    Cost: n log n.
    Parameters: 2·C·height·(width//2 + 1); of a sequence 2·C·(height//2 + 1).

    Args:
        dim: C.
        sequence: Filter along the tokens of sequences, each channel apart.
        height: See `GlobalFilterMixing2D`.
        width: Of the images that the filter is kept for; sequences have none.
        std: Standard deviation of the filter at the start, at frequency 0.
        cutoff: f₀ in cycles a sample: where the start has half of that.
        regularization: Factor of `penalty`.
        spectral_dropout_p: Chance to drop a frequency of a channel in training; the others are scaled up.
        activation: See `GlobalFilterMixing`.
        dropout: See `GlobalFilterMixing`.

    Raises:
        OptionError: On an unknown activation, a size below 1, or a chance outside [0, 1).
    """

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        height: int = 16,
        width: int = 16,
        std: float = 0.02,
        cutoff: float = 0.25,
        regularization: float = 1e-4,
        spectral_dropout_p: float = 0.0,
        activation: str = "identity",
        dropout: float = 0.0,
    ) -> None:
        if not 0 <= spectral_dropout_p < 1 or cutoff <= 0:
            raise OptionError(
                f"spectral_dropout_p must lie in [0, 1) and cutoff be positive, not {spectral_dropout_p} and {cutoff}."
            )
        trained = (height,) if sequence else (height, width)
        super().__init__(dim, trained, dim, sequence=sequence, std=std, activation=activation, dropout=dropout)
        with torch.no_grad():
            self.filter.weight.div_((1 + self.filter.frequencies() / cutoff)[..., None, None])
        self.regularization, self.spectral_dropout_p = regularization, spectral_dropout_p

    def factors(self, sizes: Sizes) -> Tensor:
        """Return the filter for a signal of `sizes`, in training with some frequencies dropped."""
        pairs = self.filter.pairs(sizes)
        if not self.training or self.spectral_dropout_p == 0:
            return pairs
        kept = torch.rand_like(pairs[..., :1]) >= self.spectral_dropout_p
        return pairs * kept / (1 - self.spectral_dropout_p)

    def penalty(self) -> Tensor:
        """Return `regularization` times the mean |W|², a scalar to add to a loss."""
        return self.regularization * full(self.filter.weight).square().sum(-1).mean()
