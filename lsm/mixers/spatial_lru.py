"""The recurrence without modulation: a linear recurrent unit over the tokens of an image, in any scan orders."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsm.errors import OptionError
from lsm.mixers.base import LINEAR, MixerProperties, TokenMixer
from lsm.mixers.layout import Size, to_image, to_tokens
from lsm.mixers.scan_order import check_order, directions
from lsm.scan.reorder import inverse, permute_tokens
from lsm.sequence.lru import LRU


class SpatialLRU(TokenMixer):
    """The frame of the CML's mixer around a linear recurrent unit that no dictionary modulates.

    Tokens → Linear → image x ⊙ sigmoid(depthwise 3×3 of x) → the same LRU along every direction, summed → Linear.

    Paper: Orvieto et al. 2023, LRU, arXiv 2303.06349.
    Equation: h_k = λ ⊙ h_{k−1} + γ ⊙ (B u_k), y_k = Re(C h_k) + D ⊙ u_k, in each scan order.
    Cost: n.
    Parameters: 2·C² + 13·C + 4·N·C + 3·N.

    Args:
        dim: C.
        sequence: See `TokenMixer`; a sequence is an image of one row.
        d_state: N, complex states.
        scan_order: A spatial order, `bidirectional` or `cross`, see `lsm.mixers.scan_order.directions`.
        r_min: Least |λ| at the start.
        r_max: Greatest |λ| at the start.
        max_phase: Greatest phase of λ at the start, in radians.

    Raises:
        OptionError: On an unknown order, or the order of categories, which come from a dictionary.
    """

    properties = MixerProperties(LINEAR)

    def __init__(
        self,
        dim: int,
        *,
        sequence: bool = False,
        d_state: int = 16,
        scan_order: str = "cross",
        r_min: float = 0.9,
        r_max: float = 0.99,
        max_phase: float = 6.283,
    ) -> None:
        super().__init__(dim, sequence=sequence)
        check_order(scan_order)
        if scan_order == "category":
            raise OptionError("The unmodulated LRU has no categories; take a spatial scan_order, e.g. cross.")
        self.scan_order = scan_order
        self.in_proj = nn.Linear(dim, dim)
        self.gate = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.lru = LRU(dim, d_state, r_min, r_max, max_phase)
        self.out_proj = nn.Linear(dim, dim)

    def mix(self, tokens: Tensor, size: Size) -> Tensor:
        """Mix tokens (B, L, C)."""
        image = to_image(self.in_proj(tokens), size)
        gated = to_tokens(image * self.gate(image).sigmoid())
        scans = [self._scan(gated, order, backwards) for order, backwards in directions(self.scan_order, *size)]
        return self.out_proj(torch.stack(scans).sum(0).to(gated.dtype))

    def _scan(self, tokens: Tensor, order: Tensor | None, backwards: bool) -> Tensor:
        """Run the LRU in an order (L,), and put its outputs (B, L, C) back into raster order."""
        if order is None and not backwards:
            return self.lru(tokens)
        if order is None:
            return self.lru(tokens.flip(1)).flip(1)
        order = (order.flip(0) if backwards else order).to(tokens.device)
        back = inverse(order)
        return permute_tokens(self.lru(permute_tokens(tokens, order, back)), back, order)
