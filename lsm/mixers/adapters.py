"""The mixers of LSM itself, made for images with the network's options, built as the others are."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lsm.mixers.layout import Size
from lsm.mixers.semantic_lru import SemanticLRU
from lsm.mixers.window_attention import WindowAttention


class FoldedSequence(nn.Module):
    """Give a mixer of images sequences (B, T, C) in rows of a fixed width; the last row is filled with zeros.

    Args:
        mixer: Takes tokens and (H, W).
        width: Of a row; none for one row that holds the whole sequence.
    """

    def __init__(self, mixer: nn.Module, width: int | None = None) -> None:
        super().__init__()
        self.mixer, self.width = mixer, width
        self.properties = mixer.properties

    def forward(self, tokens: Tensor, size: Size | None = None) -> Tensor:
        """Mix tokens (B, T, C); a size is not needed, and ignored."""
        length = tokens.shape[1]
        width = self.width or length
        padded = F.pad(tokens, (0, 0, 0, -length % width))
        return self.mixer(padded, (padded.shape[1] // width, width))[:, :length]


def sequence_cml(
    dim: int, *, sequence: bool = False, d_state: int = 16, scan_order: str = "category", transition: str = "product"
) -> nn.Module:
    """Build the CML's mixer, with T = 4N prototypes; a sequence is an image of one row."""
    mixer = SemanticLRU(dim, d_state, 4 * d_state, scan_order=scan_order, transition=transition)
    return FoldedSequence(mixer) if sequence else mixer


def sequence_attention(
    dim: int,
    *,
    sequence: bool = False,
    num_heads: int = 4,
    height: int = 8,
    width: int = 16,
    shifted: bool = False,
    pos_dim: int = 8,
) -> nn.Module:
    """Build window attention; a sequence is folded into rows of the longer side of the windows.

    Half of the channels attend to `height`·`width` neighbours, the other half to as many in a longer stretch.
    """
    heads = max(count for count in range(2, max(2, num_heads) + 1, 2) if dim % count == 0 or count == 2)
    mixer = WindowAttention(dim, heads, (height, width), shifted, pos_dim)
    return FoldedSequence(mixer, max(height, width)) if sequence else mixer
