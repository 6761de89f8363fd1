"""Features φ whose products are kernels: φ(x)·φ(y) ≈ k(x, y), so that attention with this kernel costs O(n).

Random ones are unbiased; their error falls with the square root of their number m.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian_projection(count: int, dim: int, *, orthogonal: bool, generator: torch.Generator | None = None) -> Tensor:
    """Draw m vectors of the standard normal distribution, (m, d).

    Args:
        count: m.
        dim: d.
        orthogonal: Make each d of them orthogonal to each other, at the lengths that normal vectors have: the same
            distribution of each, and a smaller error of their mean (Yu et al. 2016).
        generator: Where the numbers come from; torch's global one by default.
    """
    normal = torch.randn(count, dim, generator=generator, device="cpu")
    if not orthogonal:
        return normal
    blocks = []
    for start in range(0, count, dim):
        directions, triangle = torch.linalg.qr(torch.randn(dim, dim, generator=generator, device="cpu"))
        # Signs of the diagonal make the directions uniform over all orthogonal matrices.
        blocks.append((directions * triangle.diagonal().sign())[: count - start])
    return torch.cat(blocks) * normal.norm(dim=1, keepdim=True)


def sign_projection(count: int, dim: int, degree: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw the signs of m products of p factors, ±1, (p, m, d)."""
    return torch.randint(0, 2, (degree, count, dim), generator=generator, device="cpu").float() * 2 - 1


def trigonometric(vectors: Tensor, projection: Tensor) -> Tensor:
    """Features of the Gaussian kernel exp(−|x − y|²/2): cosines and sines of ω·x, (…, d) → (…, 2m)."""
    angles = vectors @ projection.t()
    return torch.cat([angles.cos(), angles.sin()], dim=-1) / math.sqrt(projection.shape[0])


def positive(vectors: Tensor, projection: Tensor, shared: tuple[int, ...]) -> Tensor:
    """Positive features of the kernel exp(x·y), FAVOR+: exp(ω·x − |x|²/2), (…, d) → (…, m).

    Args:
        vectors: x.
        projection: ω, (m, d).
        shared: Axes over which the exponents are shifted so that the largest is 0: one factor for all of them, which
            cancels where attention is normalised.
    """
    exponents = vectors @ projection.t() - vectors.square().sum(-1, keepdim=True) / 2
    return torch.exp(exponents - exponents.detach().amax(shared, keepdim=True)) / math.sqrt(projection.shape[0])


def rectified(vectors: Tensor, projection: Tensor, least: float = 1e-3) -> Tensor:
    """Features of Performer's generalised attention: ReLU(ω·x) + least, (…, d) → (…, m)."""
    return (torch.relu(vectors @ projection.t()) + least) / math.sqrt(projection.shape[0])


def polynomial(vectors: Tensor, projection: Tensor) -> Tensor:
    """Features of the kernel (x·y)^p: products of p random sign sums (Kar and Karnick 2012), (…, d) → (…, m)."""
    sums = torch.einsum("...d,pmd->p...m", vectors, projection)
    return sums.prod(0) / math.sqrt(projection.shape[1])


def attend(query: Tensor, key: Tensor, value: Tensor, least: float = 1e-6) -> Tensor:
    """Compute attention from features: φ(q)(φ(k)ᵀ v) / φ(q)(φ(k)ᵀ 1).

    Args:
        query: φ(q), (…, L, m).
        key: φ(k), (…, S, m).
        value: v, (…, S, d).
        least: Least size of the divisor, relative to its largest; features with signs can sum to nearly 0.

    Returns:
        (…, L, d).
    """
    weights = query @ key.sum(-2).unsqueeze(-1)
    floor = least * weights.detach().abs().amax(-2, keepdim=True) + torch.finfo(weights.dtype).tiny
    divisor = torch.where(weights.abs() < floor, torch.where(weights < 0, -floor, floor), weights)
    return query @ (key.transpose(-1, -2) @ value) / divisor
