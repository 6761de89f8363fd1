"""The residual scaffold: gated MLP, block, residual group (paper §3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lsm.mixers.base import Size, to_image, to_tokens


class GatedMLP(nn.Module):
    """Linear C→m·C, GELU, halves a and b; b through LayerNorm and a depthwise 3×3; Linear of a ⊙ b to C.

    Args:
        dim: C.
        hidden: m·C, even.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.norm = nn.LayerNorm(hidden // 2)
        self.conv = nn.Conv2d(hidden // 2, hidden // 2, 3, padding=1, groups=hidden // 2)
        self.fc2 = nn.Linear(hidden // 2, dim)
        self.act = nn.GELU()

    def forward(self, tokens: Tensor, size: Size, before: nn.Module) -> Tensor:
        """Transform what `before` makes of tokens (B, L, C) of an image of `size` (H, W) into (B, L, C).

        The normalised tokens would outlive the first Linear if the caller made them.
        """
        value, gate = self.act(self.fc1(before(tokens))).chunk(2, dim=-1)
        return self.fc2(value * to_tokens(self.conv(to_image(self.norm(gate), size))))


class Block(nn.Module):
    """x ← x + DropPath(mixer(LN x));  x ← x + DropPath(MLP(LN x));  x ← x + γ ⊙ x_in, γ from 1e-4.

    Args:
        dim: C.
        mixer: Takes tokens (B, L, C) and the size (H, W).
        hidden: Width of the gated MLP.
        drop_path: Chance to skip a branch in training.
    """

    def __init__(self, dim: int, mixer: nn.Module, hidden: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.mixer = mixer
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = GatedMLP(dim, hidden)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-4))
        self.drop_rate = drop_path

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Transform tokens (B, L, C) of an image of `size` (H, W) into (B, L, C)."""
        mixed = tokens + self._drop_path(self.mixer(self.norm1(tokens), size))
        mixed = mixed + self._drop_path(self.mlp(mixed, size, self.norm2))
        return torch.addcmul(mixed, tokens, self.gamma)

    def _drop_path(self, branch: Tensor) -> Tensor:
        """Skip a branch for some images of the batch, in training."""
        if not self.training or self.drop_rate == 0:
            return branch
        from timm.layers import drop_path  # takes seconds to import, which upscaling need not wait for

        return drop_path(branch, self.drop_rate, True)


class ResidualGroup(nn.Module):
    """Blocks, then a 3×3 convolution, added to the group's input.

    Args:
        dim: C.
        blocks: The blocks, in order.
    """

    def __init__(self, dim: int, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.checkpointing = False
        self.blocks = nn.ModuleList(blocks)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, tokens: Tensor, size: Size) -> Tensor:
        """Transform tokens (B, L, C) of an image of `size` (H, W) into (B, L, C)."""
        out = tokens
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                out = checkpoint(block, out, size, use_reentrant=False)
            else:
                out = block(out, size)
        return tokens + to_tokens(self.conv(to_image(out, size)))
