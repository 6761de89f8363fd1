"""FNet and its relatives: tokens mixed by a Fourier transform that has nothing to learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsm.errors import OptionError, unknown_name
from lsm.mixers.base import LOG_LINEAR, MixerProperties, Size, TokenMixer, full, in_full_precision

NORMS = ("ortho", "forward", "backward")
TOKENS, CHANNELS = 1, 2


class FourierMixing(TokenMixer):
    """The real part of a 2D Fourier transform over tokens and channels.

    Paper: Lee-Thorp et al. 2022, FNet, arXiv 2105.03824.
    Equation: y = Re(F_L x F_C).
    Cost: n log n.
    Parameters: none.

    Args:
        dim: C.
        sequence: See `TokenMixer`; the tokens of an image are one sequence in raster order.
        norm: "ortho" (unitary), "forward" (divided by L·C) or "backward" (not scaled).
        keep_complex: Return the complex spectrum instead of its real part.
        dropout: Chance to zero a number of the result in training.

    Raises:
        OptionError: On an unknown norm.
    """

    axes: tuple[int, ...] = (TOKENS, CHANNELS)

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        norm: str = "ortho",
        keep_complex: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        if norm not in NORMS:
            raise OptionError(unknown_name("norm of a Fourier transform", norm, NORMS))
        self.norm, self.keep_complex, self.dropout = norm, keep_complex, nn.Dropout(dropout)

    @property
    def properties(self) -> MixerProperties:  # type: ignore[override]
        """The real part alone loses energy; the whole spectrum keeps it."""
        unitary = self.norm == "ortho"
        return MixerProperties(
            LOG_LINEAR,
            frequency_domain=True,
            unitary=unitary,
            energy_preserving=unitary and self.keep_complex,
            real_output=not self.keep_complex,
        )

    def transform(self, tokens: Tensor) -> Tensor:
        """Compute the whole spectrum of tokens (B, L, C), complex."""
        return torch.fft.fftn(full(tokens), dim=self.axes, norm=self.norm)

    @in_full_precision
    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Transform tokens (B, L, C)."""
        if not self.keep_complex:
            return self.dropout(self.real_part(tokens))
        spectrum = self.transform(tokens)
        return spectrum * self.dropout(torch.ones_like(spectrum.real))

    def real_part(self, tokens: Tensor) -> Tensor:
        """Compute the real part of the spectrum of tokens (B, L, C)."""
        return self.transform(tokens).real


class FourierMixing1D(FourierMixing):
    """The real part of a Fourier transform along the tokens.

    Paper: Lee-Thorp et al. 2022, FNet, arXiv 2105.03824, with the transform over the channels left out.
    Equation: y = Re(F_L x).
    Cost: n log n.
    Parameters: none.
    """

    axes = (TOKENS,)


class SeparableFourierMixing(FourierMixing):
    """The real part of 1D Fourier transforms over tokens, channels, or both.

    Paper: Lee-Thorp et al. 2022, FNet, arXiv 2105.03824.
    Equation: y = Re(F_L x F_C), either factor can be left out.
    Cost: n log n.
    Parameters: none.

    Args:
        dim: C.
        sequence: See `FourierMixing`.
        mix_features: Transform along the channels.
        mix_sequence: Transform along the tokens.
        norm: See `FourierMixing`.
        keep_complex: See `FourierMixing`.
        dropout: See `FourierMixing`.

    Raises:
        OptionError: If both are switched off.
    """

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        mix_features: bool = True,
        mix_sequence: bool = True,
        norm: str = "ortho",
        keep_complex: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, sequence=sequence, norm=norm, keep_complex=keep_complex, dropout=dropout)
        if not mix_features and not mix_sequence:
            raise OptionError("A separable Fourier mixer needs mix_features or mix_sequence; both are off.")
        self.axes = (TOKENS,) * mix_sequence + (CHANNELS,) * mix_features

    def transform(self, tokens: Tensor) -> Tensor:
        """Compute the spectrum of tokens (B, L, C) one axis at a time."""
        spectrum = full(tokens)
        for axis in self.axes:
            spectrum = torch.fft.fft(spectrum, dim=axis, norm=self.norm)
        return spectrum


class RealFourierMixing(FourierMixing):
    """The real part of the spectrum from half of it: a real signal's spectrum is X[−k] = conj X[k].

    Paper: Lee-Thorp et al. 2022, FNet, arXiv 2105.03824, by a transform of real input.
    Equation: y = Re(F_L x F_C), or Re(F_L x).
    Cost: n log n.
    Parameters: none.

    Args:
        dim: C.
        sequence: See `FourierMixing`.
        dimensions: 2 (tokens and channels, the same as `FourierMixing`) or 1 (tokens, the same as `FourierMixing1D`).
        norm: See `FourierMixing`.
        dropout: See `FourierMixing`.

    Raises:
        OptionError: On another number of dimensions.
    """

    def __init__(
        self, dim: int, *, sequence: bool = False, dimensions: int = 2, norm: str = "ortho", dropout: float = 0.0
    ) -> None:
        super().__init__(dim, sequence=sequence, norm=norm, dropout=dropout)
        if dimensions not in (1, 2):
            raise OptionError(f"A real Fourier mixer has 1 or 2 dimensions, not {dimensions}.")
        self.axes = (TOKENS, CHANNELS)[:dimensions]

    def real_part(self, tokens: Tensor) -> Tensor:
        """Compute the half spectrum along the last axis, and mirror the other half out of it."""
        axis = self.axes[-1]
        half = torch.fft.rfftn(tokens, dim=self.axes, norm=self.norm).real
        mirrored = half.narrow(axis, 1, (tokens.shape[axis] - 1) // 2).flip(self.axes)
        if len(self.axes) == 2:  # −k of the token axis: 0 stays where it is
            mirrored = mirrored.roll(1, TOKENS)
        return torch.cat([half, mirrored], dim=axis)
