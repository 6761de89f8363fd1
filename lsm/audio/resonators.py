"""A bank of fixed linear recurrent units that splits each bin of a short-time spectrum into finer frequencies.

A steady tone shows in three neighbouring bins, and noise in all. A resonator listens to the three as a tone of its own
frequency would show in them and follows it from frame to frame, h_k = λ h_{k−1} + (1 − |λ|) ⟨tone, bins⟩, so that the
noise beside the tone and before it averages out. What is kept of the states goes back into the three bins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.scan import linear_scan

State = tuple[Tensor, Tensor]
"""States of all resonators, real and imaginary part, each (B, bins·resonators)."""


class ResonatorBank(nn.Module):
    """Resonators at evenly spaced frequencies, some for each bin; nothing in it is learned.

    Args:
        window: The window of a frame, (samples,).
        hop: Samples between frames.
        resonators: Of each bin.
        radius: |λ| of all.
    """

    poles_re: Tensor
    poles_im: Tensor
    listen: Tensor
    sound: Tensor

    def __init__(self, window: Tensor, hop: int, resonators: int, radius: float) -> None:
        super().__init__()
        size = len(window)
        offsets = (torch.arange(resonators) + 0.5) / resonators - 0.5
        phases = (2 * math.pi * hop / size) * (torch.arange(size // 2 + 1)[:, None] + offsets).double()
        poles = torch.polar(torch.full_like(phases, radius), phases).to(torch.complex64).flatten()
        tones = tone_in_bins(window, offsets)
        self.register_buffer("poles_re", poles.real.contiguous(), persistent=False)
        self.register_buffer("poles_im", poles.imag.contiguous(), persistent=False)
        # The transpose of a convolution, as a convolution: channels exchanged, taps in the opposite order.
        self.register_buffer("listen", (1 - radius) * tones, persistent=False)
        self.register_buffer("sound", tones.transpose(0, 1).flip(-1).contiguous(), persistent=False)
        self.resonators = resonators

    def initial_state(self, batch: int) -> State:
        """Return the states before the first frame: zeros."""
        zeros = self.poles_re.new_zeros(batch, len(self.poles_re))
        return zeros, zeros

    def forward(self, parts: Tensor, before: State) -> tuple[Tensor, Tensor, State]:
        """Follow the spectra of some frames.

        Args:
            parts: Real and imaginary part of the spectra, (B, K, bins, 2).
            before: The states before the first of them.

        Returns:
            Real and imaginary part of all states, each (B, K, bins, resonators), and the states after the last frame.
        """
        drive = _along_frequency(parts, self.listen)
        drive_re, drive_im = (part.flatten(2) for part in drive.chunk(2, dim=-1))
        states = linear_scan((self.poles_re, self.poles_im), (drive_re, drive_im), before)
        real, imaginary = (part.unflatten(-1, (-1, self.resonators)) for part in states)
        return real, imaginary, (states[0][:, -1], states[1][:, -1])

    def spectra(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Put states back into bins: two (B, K, bins, resonators) → complex (B, K, bins)."""
        parts = _along_frequency(torch.cat([real, imaginary], dim=-1), self.sound)
        return torch.view_as_complex(parts.contiguous())


def tone_in_bins(window: Tensor, offsets: Tensor) -> Tensor:
    """Compute how tones near the middle of a bin show in it and in the two beside it.

    Args:
        window: Of a frame, (samples,).
        offsets: Frequencies of the tones, in bins from the middle of theirs, (R,).

    Returns:
        (2R, 2, 1, 3): a convolution along frequency that maps real and imaginary part of a spectrum to those of its
        inner products with the tones, which have norm 1 in the three bins.
    """
    time = torch.arange(len(window), dtype=torch.float64)
    turns = 2 * math.pi * (offsets[:, None].double() - torch.tensor([-1.0, 0.0, 1.0])) / len(window)
    seen = torch.polar(window.double().expand(*turns.shape, -1), turns[..., None] * time).sum(-1)
    seen = seen / seen.abs().square().sum(-1, keepdim=True).sqrt()
    to_real, to_imaginary = torch.stack([seen.real, seen.imag], 1), torch.stack([-seen.imag, seen.real], 1)
    return torch.cat([to_real, to_imaginary])[:, :, None].float()


def _along_frequency(parts: Tensor, weight: Tensor) -> Tensor:
    """Convolve (B, K, bins, channels) along frequency."""
    return F.conv2d(parts.permute(0, 3, 1, 2), weight, padding=(0, 1)).permute(0, 2, 3, 1)
