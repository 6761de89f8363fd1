"""Attention in O(n): a kernel of queries and keys as a product of features, so that sums over keys are made once."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.errors import OptionError, unknown_name
from lsm.mixers.base import LINEAR, MixerProperties, Size, TokenMixer, full, in_full_precision
from lsm.mixers.zoo import features
from lsm.mixers.zoo.heads import heads_in


class FeatureAttention(TokenMixer):
    """Engine of the family: heads, features of queries and keys, and the maps around them.

    Queries and keys are divided by d^¼, so that their product has the usual 1/√d. Features are drawn from a seed, so
    that every network of one configuration has the same, and stored with the weights.

    Args:
        dim: C.
        sequence: See `TokenMixer`; the tokens of an image are a set.
        heads: Heads; the largest divisor of C up to this many is taken.
        num_features: m.
        orthogonal: See `features.gaussian_projection`.
        redraw: Draw other features for each step of training; otherwise, and in eval mode, they are fixed.
        seed: Of the fixed ones.

    Raises:
        OptionError: If there are no features.
    """

    properties = MixerProperties(LINEAR)

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool,
        heads: int,
        num_features: int,
        orthogonal: bool = True,
        redraw: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        if num_features < 1:
            raise OptionError(f"Attention by features needs at least 1 feature, not {num_features}.")
        self.heads = heads_in(dim, heads)
        self.num_features, self.orthogonal, self.redraw = num_features, orthogonal, redraw
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)
        self.keep(self.draw(torch.Generator("cpu").manual_seed(seed)))

    projection: Tensor

    def keep(self, projection: Tensor) -> None:
        """Store the random numbers of the features."""
        self.register_buffer("projection", projection)

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw the random numbers of the features."""
        return features.gaussian_projection(
            self.num_features, self.dim // self.heads, orthogonal=self.orthogonal, generator=generator
        )

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        return self.out_proj(self.attend(self.qkv(tokens)))

    @in_full_precision
    def attend(self, qkv: Tensor) -> Tensor:
        """Attend with queries, keys and values (B, L, 3C): (B, L, C)."""
        query, key, value = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scale = query.shape[-1] ** -0.25
        drawn = self.draw().to(query) if self.redraw and self.training else full(self.projection).to(query.dtype)
        mixed = features.attend(*self.features(query * scale, key * scale, drawn), value)
        return mixed.transpose(1, 2).flatten(2)

    def features(self, query: Tensor, key: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
        """Map queries and keys (B, heads, L, d) to features (B, heads, L, ·)."""
        raise NotImplementedError


class SpectralAttention(FeatureAttention):
    """Attention with the softmax kernel of unit vectors, or the Gaussian kernel, by random Fourier features.

    For softmax, queries and keys are brought to length 1 (Peng et al., §3.1): there the softmax kernel is the Gaussian
    one but for a factor, so that no key weighs more than e² times another and the divisor stays away from zero, as
    it does not with the factor e^{|k|²/2} that keys of other lengths need. The scores are q·k/(|q| |k|); Peng et al.
    learn a spread besides, which is 1 here.

    Paper: Rahimi and Recht 2007; Peng et al. 2021, random feature attention, arXiv 2103.02143.
    Equation: y = φ(q)(φ(k)ᵀ v)/φ(q)(φ(k)ᵀ 1), φ(x) = [cos ωx, sin ωx]/√m; for softmax φ(x/|x|).
    Cost: n.
    Parameters: 4·C² + 4·C.

    Args:
        dim: C.
        sequence: See `TokenMixer`.
        heads: See `FeatureAttention`.
        num_features: m, frequencies ω.
        kernel: "softmax" or "gaussian".
        orthogonal: See `FeatureAttention`.
        redraw: See `FeatureAttention`.
        seed: See `FeatureAttention`.

    Raises:
        OptionError: On an unknown kernel, or no features.
    """

    KERNELS = ("softmax", "gaussian")

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        heads: int = 4,
        num_features: int = 64,
        kernel: str = "softmax",
        orthogonal: bool = True,
        redraw: bool = False,
        seed: int = 0,
    ) -> None:
        if kernel not in self.KERNELS:
            raise OptionError(unknown_name("kernel of spectral attention", kernel, self.KERNELS))
        super().__init__(
            dim,
            sequence=sequence,
            heads=heads,
            num_features=num_features,
            orthogonal=orthogonal,
            redraw=redraw,
            seed=seed,
        )
        self.kernel = kernel

    def features(self, query: Tensor, key: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
        """Map to cosines and sines."""
        if self.kernel == "softmax":
            query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        return features.trigonometric(query, projection), features.trigonometric(key, projection)


class PerformerAttention(FeatureAttention):
    """Attention with the softmax kernel by positive orthogonal random features.

    Paper: Choromanski et al. 2021, Performer, arXiv 2009.14794.
    Equation: y = φ(q)(φ(k)ᵀ v)/φ(q)(φ(k)ᵀ 1), φ(x) = e^{ωx − |x|²/2}/√m, or (ReLU(ωx) + ε)/√m.
    Cost: n.
    Parameters: 4·C² + 4·C.

    Args:
        dim: C.
        sequence: See `TokenMixer`.
        heads: See `FeatureAttention`.
        num_features: m.
        generalized: The ReLU instead of the softmax kernel.
        orthogonal: See `FeatureAttention`.
        redraw: See `FeatureAttention`.
        seed: See `FeatureAttention`.

    Raises:
        OptionError: If there are no features.
    """

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        heads: int = 4,
        num_features: int = 64,
        generalized: bool = False,
        orthogonal: bool = True,
        redraw: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            dim,
            sequence=sequence,
            heads=heads,
            num_features=num_features,
            orthogonal=orthogonal,
            redraw=redraw,
            seed=seed,
        )
        self.generalized = generalized

    def features(self, query: Tensor, key: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
        """Map to positive features; a factor of each query, and one for all keys, cancel."""
        if self.generalized:
            return features.rectified(query, projection), features.rectified(key, projection)
        return features.positive(query, projection, (-1,)), features.positive(key, projection, (-2, -1))


class KernelAttention(FeatureAttention):
    """Attention with a Gaussian, polynomial or learned stationary kernel of low rank.

    Paper: Rahimi and Recht 2007; Kar and Karnick 2012, arXiv 1201.6530, for polynomials.
    Equation: y = φ(q)(φ(k)ᵀ v)/φ(q)(φ(k)ᵀ 1), φ(q)·φ(k) ≈ e^{−|q−k|²/2}, (q·k + 1)^p or Σ_i s_i cos ω_i(q − k).
    Cost: n.
    Parameters: 4·C² + 4·C; with the spectral kernel rank·(C//heads + 1) more.

    Args:
        dim: C.
        sequence: See `TokenMixer`.
        heads: See `FeatureAttention`.
        kernel: "gaussian", "polynomial" or "spectral": frequencies ω and weights s are learned.
        rank: Features, or frequencies.
        degree: p of the polynomial.
        seed: See `FeatureAttention`; also of the spectral kernel's frequencies at the start.

    Raises:
        OptionError: On an unknown kernel, no features, or a degree below 1.
    """

    KERNELS = ("gaussian", "polynomial", "spectral")

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        heads: int = 4,
        kernel: str = "gaussian",
        rank: int = 64,
        degree: int = 2,
        seed: int = 0,
    ) -> None:
        if kernel not in self.KERNELS:
            raise OptionError(unknown_name("kernel of kernel attention", kernel, self.KERNELS))
        if degree < 1:
            raise OptionError(f"The degree of a polynomial kernel must be at least 1, not {degree}.")
        self.kernel, self.degree = kernel, degree
        super().__init__(dim, sequence=sequence, heads=heads, num_features=rank, seed=seed)
        if kernel == "spectral":
            self.spectrum = nn.Parameter(torch.full((rank,), math.log(math.e - 1)))  # softplus of it is 1

    def keep(self, projection: Tensor) -> None:
        """Store the random numbers; those of the spectral kernel are learned on."""
        if self.kernel == "spectral":
            self.projection = nn.Parameter(projection)
        else:
            super().keep(projection)

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw signs for the polynomial, frequencies for the others."""
        if self.kernel != "polynomial":
            return super().draw(generator)
        return features.sign_projection(self.num_features, self.dim // self.heads + 1, self.degree, generator)

    def features(self, query: Tensor, key: Tensor, projection: Tensor) -> tuple[Tensor, Tensor]:
        """Map both to the features of the kernel."""
        return self._feature(query, projection), self._feature(key, projection)

    def _feature(self, vectors: Tensor, projection: Tensor) -> Tensor:
        if self.kernel == "polynomial":
            return features.polynomial(F.pad(vectors, (0, 1), value=1.0), projection)
        mapped = features.trigonometric(vectors, projection)
        if self.kernel == "gaussian":
            return mapped
        return mapped * F.softplus(full(self.spectrum)).sqrt().repeat(2)
