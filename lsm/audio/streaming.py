"""The causal denoiser: a short-time spectrum, an LRU-UNet over its frames, and a filter for each frame.

Each bin of the spectrum also drives a few fixed linear recurrent units, resonators that split the bin into finer
frequencies with a longer memory. Where a tone holds, the filter can take their states instead of the bin itself.

Whole signals and streams of chunks give the same numbers; the delay is one window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.scan import linear_scan
from lsm.sequence import LRUUNet
from lsm.sequence.lru_unet import StreamState

_SILENCE = 1e-4
"""Level (root mean square, full scale 1) below which a signal is not raised further: −80 dB."""


@dataclass(frozen=True)
class DenoiserState:
    """What a `StreamingDenoiser` carries from chunk to chunk."""

    samples: Tensor
    """Noisy samples (B, …) that are still part of a window to come."""
    tail: Tensor
    """Denoised samples (B, window − hop) to which the next frames still add."""
    level: tuple[Tensor, Tensor]
    """Decaying sums of the frames' energies and of their weights, each (B, 1)."""
    resonators: tuple[Tensor, Tensor]
    """States of the resonators, real and imaginary part, each (B, bins·resonators)."""
    network: StreamState
    """State of the LRU-UNet."""


class StreamingDenoiser(nn.Module):
    """Causal denoiser of one channel: (B, 1, T) → (B, 1, T).

    Frames of `window` samples every `hop` → spectrum, divided by the running level → compressed → Linear → causal
    LRU-UNet → Linear → four numbers for each bin. These and the magnitudes of the bin and of its resonators go through
    two convolutions along frequency, which give a complex factor for the bin and a real one for each resonator; the
    weighted sum is the denoised spectrum → frames, overlapped and added.

    Args:
        window: Samples of a frame, a multiple of `hop`; the algorithmic latency.
        hop: Samples between frames.
        d_model: Channels of the LRU-UNet's first stage.
        d_state: States of its LRUs.
        n_layers: Its stages, each with a factor of 2.
        memory: Frames after which the running level has forgotten two thirds.
        resonators: Resonators of each bin.
        radius: |λ| of the resonators.
        local: Channels between the two convolutions along frequency.
    """

    analysis: Tensor
    poles_re: Tensor
    poles_im: Tensor

    def __init__(
        self,
        window: int = 512,
        hop: int = 128,
        d_model: int = 128,
        d_state: int = 128,
        n_layers: int = 1,
        memory: int = 250,
        resonators: int = 8,
        radius: float = 0.9,
        local: int = 24,
    ) -> None:
        super().__init__()
        self.settings = {
            **{"window": window, "hop": hop, "d_model": d_model, "d_state": d_state},
            **{"n_layers": n_layers, "memory": memory, "resonators": resonators, "radius": radius, "local": local},
        }
        self.window, self.hop, self.decay = window, hop, 1 - 1 / memory
        # The square root of a Hann window, used twice; its squares add up to window / (2·hop) at every sample.
        shape = torch.hann_window(window).sqrt() * (2 * hop / window) ** 0.5
        self.register_buffer("analysis", shape, persistent=False)
        bins = window // 2 + 1
        self.encode = nn.Linear(2 * bins, d_model)
        self.network = LRUUNet(d_model, d_state, n_layers, 2, causal=True, r_min=0.3, r_max=0.999)
        self.norm = nn.LayerNorm(d_model)
        self.decode = nn.Linear(d_model, 4 * bins)
        poles = resonator_poles(bins, resonators, radius, 2 * math.pi * hop / window)
        self.resonators, self.gain = resonators, 1 - radius
        self.register_buffer("poles_re", poles.real, persistent=False)
        self.register_buffer("poles_im", poles.imag, persistent=False)
        self.local_in = nn.Conv2d(5 + resonators, local, (1, 3), padding=(0, 1))
        self.local_mid = nn.Conv2d(local, local, (1, 3), padding=(0, 1))
        self.local_out = nn.Conv2d(local, 2 + resonators, (1, 3), padding=(0, 1))
        with torch.no_grad():  # begins near a filter that halves every bin
            self.local_out.weight.mul_(0.1)
            assert self.local_out.bias is not None
            self.local_out.bias.zero_()
            self.local_out.bias[0] = 0.5

    @property
    def latency(self) -> int:
        """Samples by which a stream's output lags behind its input."""
        return self.window - self.hop

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise signals (B, 1, T), T at least 1."""
        length = noisy.shape[-1]
        steps = -(-(length + self.latency) // self.hop) * self.hop
        padded = F.pad(noisy[:, 0], (self.latency, steps - length))
        spectra = self._spectra(padded)
        level, _ = self._level(spectra, self._no_level(len(noisy)))
        features = self.encode(_compress(spectra / level)).transpose(1, 2)
        filtered, _ = self._filter(spectra, level, self.network(features), self._no_resonance(len(noisy)))
        return self._overlap(filtered)[:, None, self.latency : self.latency + length]

    def initial_state(self, batch: int) -> DenoiserState:
        """Return the state before the first sample of `batch` signals."""
        return DenoiserState(
            samples=self.analysis.new_zeros(batch, self.latency),
            tail=self.analysis.new_zeros(batch, self.latency),
            level=self._no_level(batch),
            resonators=self._no_resonance(batch),
            network=self.network.initial_state(batch),
        )

    def stream(self, chunk: Tensor, state: DenoiserState) -> tuple[Tensor, DenoiserState]:
        """Denoise the next chunk of a signal.

        Args:
            chunk: (B, 1, T), any T, also 0.
            state: What the call before returned, or `initial_state`.

        Returns:
            As many whole hops as are complete, (B, 1, n·hop), and the state after them. All outputs together are the
            denoised signal after `latency` samples that belong to the time before its start.
        """
        waiting = torch.cat([state.samples, chunk[:, 0]], dim=1)
        hops = (waiting.shape[1] - self.latency) // self.hop
        if hops == 0:
            return chunk[..., :0], replace(state, samples=waiting)
        spectra = self._spectra(waiting)
        level, sums = self._level(spectra, state.level)
        features = self.encode(_compress(spectra / level)).transpose(1, 2)
        mixed, network = self.network.stream(features, state.network)
        filtered, resonators = self._filter(spectra, level, mixed, state.resonators)
        added = self._overlap(filtered)
        done = hops * self.hop
        added = added + F.pad(state.tail, (0, done))
        return added[:, None, :done], DenoiserState(waiting[:, done:], added[:, done:], sums, resonators, network)

    def _no_level(self, batch: int) -> tuple[Tensor, Tensor]:
        return self.analysis.new_zeros(batch, 1), self.analysis.new_zeros(batch, 1)

    def _spectra(self, samples: Tensor) -> Tensor:
        """Cut samples (B, T) into frames and transform them: complex (B, K, bins)."""
        return torch.fft.rfft(samples.unfold(1, self.window, self.hop) * self.analysis, norm="ortho")

    def _level(self, spectra: Tensor, before: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the running root mean square at each frame, (B, K, 1), and the sums after the last frame."""
        power = spectra.abs().square().mean(dim=-1, keepdim=True) * (self.window / self.hop)
        decay = power.new_full((1,), self.decay)
        energy = linear_scan(decay, power, before[0])
        weight = linear_scan(decay, torch.ones_like(power), before[1])
        return (energy / weight).sqrt().clamp_min(_SILENCE), (energy[:, -1], weight[:, -1])

    def _no_resonance(self, batch: int) -> tuple[Tensor, Tensor]:
        zeros = self.poles_re.new_zeros(batch, len(self.poles_re))
        return zeros, zeros

    def _filter(
        self, spectra: Tensor, level: Tensor, mixed: Tensor, before: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Apply what the network says, (B, C, K), to the spectra (B, K, bins); also return the resonators' states."""
        drive = spectra.repeat_interleave(self.resonators, dim=-1) * self.gain
        states = linear_scan((self.poles_re, self.poles_im), (drive.real, drive.imag), before)
        fine = torch.complex(*states).unflatten(-1, (-1, self.resonators))
        loud = torch.cat([spectra[..., None], fine], dim=-1).abs() / level[..., None]
        context = self.decode(self.norm(mixed.transpose(1, 2))).unflatten(-1, (-1, 4))
        # (B, K, bins, channels) seen as a picture with its channels last in memory, which convolutions run fastest on
        picture = torch.cat([context, (loud + 1e-6).sqrt()], dim=-1).permute(0, 3, 1, 2)
        hidden = F.silu(self.local_mid(F.silu(self.local_in(picture))))
        factors = self.local_out(hidden).permute(0, 2, 3, 1)
        kept = spectra * torch.complex(factors[..., 0], factors[..., 1]) + (fine * factors[..., 2:]).sum(dim=-1)
        return kept, (states[0][:, -1], states[1][:, -1])

    def _overlap(self, spectra: Tensor) -> Tensor:
        """Transform back and add overlapping frames: (B, K, bins) → (B, (K − 1)·hop + window)."""
        frames = torch.fft.irfft(spectra, self.window, norm="ortho") * self.analysis
        parts = frames.unflatten(-1, (-1, self.hop)).unbind(dim=2)
        last = len(parts) - 1
        shifted = [F.pad(part.flatten(1), (i * self.hop, (last - i) * self.hop)) for i, part in enumerate(parts)]
        return torch.stack(shifted).sum(dim=0)


def resonator_poles(bins: int, resonators: int, radius: float, turn: float) -> Tensor:
    """Place the poles of the resonators of each bin evenly over the bin's width.

    Args:
        bins: Bins of the spectrum.
        resonators: Poles of each bin.
        radius: |λ| of all.
        turn: Phase between neighbouring bins after one hop, in radians.

    Returns:
        Complex (bins·resonators,): those of the first bin, then those of the second …
    """
    offsets = (torch.arange(resonators) + 0.5) / resonators - 0.5
    phases = turn * (torch.arange(bins)[:, None] + offsets).double()
    return torch.polar(torch.full_like(phases, radius), phases).to(torch.complex64).flatten()


def _compress(spectra: Tensor) -> Tensor:
    """Take the square root of all magnitudes, keep the phases: complex (…, bins) → parts (…, 2 bins)."""
    compressed = spectra * (spectra.abs() + 1e-6).rsqrt()
    return torch.cat([compressed.real, compressed.imag], dim=-1)
