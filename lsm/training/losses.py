"""Losses beside the pixel loss that BasicSR does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FFTLoss(nn.Module):
    """Mean absolute difference of the two spectra, real and imaginary parts: |F(x) − F(y)|₁ over 2·C·H·(W/2+1) values.

    SAFMN (Sun et al. 2023, arXiv 2302.13800, §4.1) trains with it at a weight of 0.05 beside L1, SMFANet and SeemoRe-T
    too.

    Args:
        loss_weight: Factor on the loss.
    """

    def __init__(self, loss_weight: float = 0.05) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Compare images (B, C, H, W); returns a scalar."""
        # The transform is linear, so one of the difference does.
        spectrum = torch.view_as_real(torch.fft.rfft2(output.float() - target.float()))
        return self.loss_weight * spectrum.abs().mean()
