"""What a denoiser is trained to lower."""

from __future__ import annotations

import torch
from torch import Tensor


def denoising_loss(estimate: Tensor, clean: Tensor, ceiling: float = 40.0) -> Tensor:
    """Combine the signal-to-noise ratio of the waveform with the error of its compressed spectrum.

    Args:
        estimate: (B, T), for a noisy input of root mean square 1.
        clean: (B, T).
        ceiling: SNR in dB beyond which nothing is gained, so that easy signals do not rule the gradient.

    Returns:
        The mean over the signals, a scalar: −SNR / 10 plus the L1 distance of the square roots of the magnitudes.
    """
    energy = clean.square().mean(-1) + 1e-3  # a silent signal is worth one at −30 dB of the input
    error = (estimate - clean).square().mean(-1)
    ratio = torch.log10((error + 10 ** (-ceiling / 10) * energy) / energy)
    return ratio.mean() + (_magnitudes(estimate) - _magnitudes(clean)).abs().mean()


def _magnitudes(signal: Tensor, window: int = 512, hop: int = 128) -> Tensor:
    """Compute the square roots of the magnitudes of a short-time spectrum: (B, T) → (B, bins, frames)."""
    spectrum = torch.stft(
        signal, window, hop, window=torch.hann_window(window, device=signal.device), return_complex=True
    )
    return (spectrum.abs() * (2 / window**0.5) + 1e-4).sqrt()
