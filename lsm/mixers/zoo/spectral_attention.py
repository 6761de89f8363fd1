"""Linear spectral transform attention: queries, keys and values multiplied in the domain of an orthogonal transform."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lsm.errors import OptionError, unknown_name
from lsm.mixers.base import LOG_LINEAR, MixerProperties, Size, TokenMixer, full, grid_axes, in_full_precision
from lsm.mixers.zoo.heads import heads_in
from lsm.mixers.zoo.transforms import TRANSFORMS

_LEAST = 1e-6


class TransformAttention(TokenMixer):
    """Engine of the family: heads, transforms along all axes of the tokens, scaling, and the maps around them.

    Args:
        dim: C.
        transforms: Names of `TRANSFORMS`, given to the heads in turn.
        sequence: See `TokenMixer`; of images both axes are transformed.
        heads: Heads; the largest divisor of C up to this many is taken.
        learnable_scale: Whether Λ is learned; else it is 1.
        dropout: Chance to zero a number of the result in training.

    Raises:
        OptionError: On an unknown transform, or none.
    """

    properties = MixerProperties(LOG_LINEAR, frequency_domain=True, unitary=True)

    def __init__(
        self,
        dim: int,
        transforms: Sequence[str],
        *,
        sequence: bool,
        heads: int,
        learnable_scale: bool,
        dropout: float,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        if not transforms:
            raise OptionError("Spectral attention needs a transform; all are switched off.")
        for name in transforms:
            if name not in TRANSFORMS:
                raise OptionError(unknown_name("transform", name, TRANSFORMS))
        self.heads = heads_in(dim, heads)
        dealt = [transforms[head * len(transforms) // self.heads] for head in range(self.heads)]
        self.groups = [(name, dealt.count(name)) for name in dict.fromkeys(dealt)]
        self.qkv = nn.Linear(dim, 3 * dim)
        self.scale = nn.Parameter(torch.ones(dim)) if learnable_scale else None
        self.out_proj = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        return self.dropout(self.out_proj(self.attend(self.qkv(tokens), size)))

    def transform(self, tokens: Tensor, size: Size | None = None) -> Tensor:
        """Transform tokens (B, L, C) by the transform of the first heads: coefficients (B, …, C)."""
        signal = self.on_grid(full(tokens), size or (1, tokens.shape[1]))
        return _along_all(TRANSFORMS[self.groups[0][0]].forward, signal, grid_axes(signal))

    @in_full_precision
    def attend(self, qkv: Tensor, size: Size) -> Tensor:
        """Multiply queries, keys and values (B, L, 3C) in the transform domain: (B, L, C).

        The product of queries and keys is divided by its root mean square over the coefficients.
        """
        signal = self.on_grid(qkv, size)
        axes, width = grid_axes(signal), self.dim // self.heads
        inside = (slice(None), *(slice(signal.shape[axis]) for axis in axes))
        widths = [count * width for _, count in self.groups]
        mixed = []
        for (name, _), part in zip(self.groups, signal.unflatten(-1, (3, -1)).split(widths, dim=-1), strict=True):
            transform = TRANSFORMS[name]
            query, key, value = (_along_all(transform.forward, item, axes) for item in part.unbind(-2))
            gate = query * key
            gate = gate / (gate.abs().square().mean(axes, keepdim=True) + _LEAST).sqrt()
            back = _along_all(transform.inverse, gate * value, axes)
            mixed.append((back.real if back.is_complex() else back)[inside])
        # Λ is one number a channel, so that it commutes with the transform back.
        product = torch.cat(mixed, dim=-1).flatten(1, -2)
        return product if self.scale is None else product * full(self.scale)


def _along_all(transform: Callable[[Tensor, int], Tensor], signal: Tensor, axes: Sequence[int]) -> Tensor:
    """Apply a transform along several axes, one after the other."""
    for axis in axes:
        signal = transform(signal, axis)
    return signal


class LSTAttention(TransformAttention):
    """Attention as a product in the domain of a chosen orthogonal transform.

    Paper: linear spectral transform attention as in the library spectrans 0.1.0.
    Equation: y = T⁻¹(Λ ⊙ n(T q ⊙ T k) ⊙ T v), n divides by the root mean square, Λ one number a channel.
    Cost: n log n.
    Parameters: 4·C² + 5·C.

    Args:
        dim: C.
        sequence: See `TokenMixer`; of images both axes are transformed.
        transform: "dct", "dst", "hadamard" or "fft".
        heads: Heads; the largest divisor of C up to this many is taken.
        learnable_scale: Whether Λ is learned; else it is 1.
        dropout: Chance to zero a number of the result in training.

    Raises:
        OptionError: On an unknown transform.
    """

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        transform: str = "dct",
        heads: int = 4,
        learnable_scale: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, (transform,), sequence=sequence, heads=heads, learnable_scale=learnable_scale, dropout=dropout
        )


class FixedTransformAttention(LSTAttention):
    """`LSTAttention` with the transform of the class."""

    name: str

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        heads: int = 4,
        learnable_scale: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, sequence=sequence, transform=self.name, heads=heads, learnable_scale=learnable_scale, dropout=dropout
        )


class DCTAttention(FixedTransformAttention):
    """Attention as a product of cosine coefficients.

    Paper: linear spectral transform attention as in the library spectrans 0.1.0.
    Equation: y = T⁻¹(Λ ⊙ n(T q ⊙ T k) ⊙ T v), T the DCT-II.
    Cost: n log n.
    Parameters: 4·C² + 5·C.
    """

    name = "dct"


class DSTAttention(FixedTransformAttention):
    """Attention as a product of sine coefficients.

    Paper: linear spectral transform attention as in the library spectrans 0.1.0.
    Equation: y = T⁻¹(Λ ⊙ n(T q ⊙ T k) ⊙ T v), T the DST-II.
    Cost: n log n.
    Parameters: 4·C² + 5·C.
    """

    name = "dst"


class HadamardAttention(FixedTransformAttention):
    """Attention as a product of Walsh-Hadamard coefficients; sizes are filled up to powers of two.

    Paper: linear spectral transform attention as in the library spectrans 0.1.0.
    Equation: y = T⁻¹(Λ ⊙ n(T q ⊙ T k) ⊙ T v), T the Walsh-Hadamard transform.
    Cost: n log n.
    Parameters: 4·C² + 5·C.
    """

    name = "hadamard"


class MixedSpectralAttention(TransformAttention):
    """Attention as a product in the domain of another transform in each group of heads.

    Paper: linear spectral transform attention as in the library spectrans 0.1.0.
    Equation: y_h = T_h⁻¹(Λ ⊙ n(T_h q ⊙ T_h k) ⊙ T_h v), T_h of head h.
    Cost: n log n.
    Parameters: 4·C² + 5·C.

    Args:
        dim: C.
        sequence: See `LSTAttention`.
        use_fft: Give heads the Fourier transform.
        use_dct: Give heads the DCT-II.
        use_hadamard: Give heads the Walsh-Hadamard transform.
        heads: See `LSTAttention`; with fewer heads than transforms the last of these are left out.
        learnable_scale: See `LSTAttention`.
        dropout: See `LSTAttention`.

    Raises:
        OptionError: If all transforms are switched off.
    """

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        use_fft: bool = True,
        use_dct: bool = True,
        use_hadamard: bool = True,
        heads: int = 4,
        learnable_scale: bool = True,
        dropout: float = 0.0,
    ) -> None:
        chosen = ("fft",) * use_fft + ("dct",) * use_dct + ("hadamard",) * use_hadamard
        super().__init__(dim, chosen, sequence=sequence, heads=heads, learnable_scale=learnable_scale, dropout=dropout)
