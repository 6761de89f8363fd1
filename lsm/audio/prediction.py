"""Linear prediction: how a signal would go on, for windows that reach past its end."""

from __future__ import annotations

import torch
from torch import Tensor

HISTORY = 2048
"""Samples that a prediction looks back on; 128 ms at 16 kHz."""

_ORDER = 64
_RIDGE = 1e-4
"""White noise, relative to the signal's energy, that the fit assumes; it keeps the predictor stable."""


@torch.no_grad()
def continuation(signal: Tensor, samples: int) -> Tensor:
    """Predict what comes after a signal by the autoregressive model that fits its end best.

    Tones go on, noise fades out, and silence stays silent. Zeros instead would cut the last windows off, and an edge
    looks like noise at all frequencies.

    Args:
        signal: (B, T), T at least 1; the last `HISTORY` samples count.
        samples: n, how many to predict.

    Returns:
        (B, n), on the signal's device and in its dtype; no gradient flows through it.
    """
    past = signal[:, -HISTORY:].detach().cpu().double()
    order = min(_ORDER, past.shape[1] - 1)
    if order == 0:
        return signal.new_zeros(len(signal), samples)
    spectrum = torch.fft.rfft(past, 2 * past.shape[1])
    correlation = torch.fft.irfft(spectrum.abs().square())[:, : order + 1]
    lags = torch.arange(order)
    matrix = correlation[:, (lags[:, None] - lags).abs()]
    matrix = matrix + (_RIDGE * correlation[:, :1, None] + 1e-12) * torch.eye(order, dtype=torch.float64)
    # Weights of the last `order` samples, the oldest first.
    weights = torch.linalg.solve(matrix, correlation[:, 1:]).flip(1)
    line = torch.cat([past[:, -order:], past.new_zeros(len(past), samples)], dim=1)
    for at in range(samples):
        line[:, order + at] = (line[:, at : at + order] * weights).sum(dim=1)
    return line[:, order:].to(signal)
