"""The causal denoiser: a short-time spectrum, an LRU-UNet over its frames, and a filter for each frame.

A bank of resonators splits each bin into finer frequencies with a longer memory. Where a tone holds, the filter can
take their states instead of the bin itself.

Whole signals and streams of chunks give the same numbers; the delay is one window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.audio.prediction import HISTORY, continuation
from lsm.audio.resonators import ResonatorBank
from lsm.audio.resonators import State as ResonatorState
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
    history: Tensor
    """The last noisy samples, (B, up to `HISTORY`), from which those after the end are predicted."""
    tail: Tensor
    """Denoised samples (B, window − hop) to which the next frames still add."""
    level: tuple[Tensor, Tensor]
    """Decaying sums of the frames' energies and of their weights, each (B, 1)."""
    resonators: ResonatorState
    """States of the resonators."""
    network: StreamState
    """State of the LRU-UNet."""


class StreamingDenoiser(nn.Module):
    """Causal denoiser of one channel: (B, 1, T) → (B, 1, T).

    Frames of `window` samples every `hop` → spectrum, divided by the running level → compressed → Linear → causal
    LRU-UNet → Linear → four numbers for each bin. These and the magnitudes of the bin and of its resonators go through
    three convolutions along frequency, which give a complex factor for the bin and one for each resonator; the weighted
    sum is the denoised spectrum → frames, overlapped and added.

    Args:
        window: Samples of a frame, a multiple of `hop`; the algorithmic latency.
        hop: Samples between frames.
        d_model: Channels of the LRU-UNet's first stage.
        d_state: States of its LRUs.
        n_layers: Its stages, each with a factor of 2.
        memory: Frames after which the running level has forgotten two thirds.
        resonators: Resonators of each bin.
        radius: |λ| of the resonators.
        local: Channels between the convolutions along frequency.
    """

    analysis: Tensor

    def __init__(
        self,
        window: int = 512,
        hop: int = 128,
        d_model: int = 128,
        d_state: int = 128,
        n_layers: int = 1,
        memory: int = 250,
        resonators: int = 4,
        radius: float = 0.8,
        local: int = 16,
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
        self.resonators = ResonatorBank(shape, hop, resonators, radius)
        self.local_in = nn.Conv2d(5 + resonators, local, (1, 3), padding=(0, 1))
        self.local_mid = nn.Conv2d(local, local, (1, 3), padding=(0, 1))
        self.local_out = nn.Conv2d(local, 2 + 2 * resonators, (1, 3), padding=(0, 1))
        with torch.no_grad():  # begins near a filter that halves everything
            self.local_out.weight.mul_(0.1)
            assert self.local_out.bias is not None
            self.local_out.bias.zero_()
            self.local_out.bias[0] = 0.1
            self.local_out.bias[2 : 2 + resonators] = 0.2

    @property
    def latency(self) -> int:
        """Samples by which a stream's output lags behind its input."""
        return self.window - self.hop

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise signals (B, 1, T), T at least 1."""
        length = noisy.shape[-1]
        steps = -(-(length + self.latency) // self.hop) * self.hop
        after = continuation(noisy[:, 0], steps - length)
        padded = F.pad(torch.cat([noisy[:, 0], after], dim=1), (self.latency, 0))
        spectra = self._spectra(padded)
        level, _ = self._level(spectra, self._no_level(len(noisy)))
        features = self.encode(_compress(spectra / level)).transpose(1, 2)
        filtered, _ = self._filter(spectra, level, self.network(features), self.resonators.initial_state(len(noisy)))
        return self._overlap(filtered)[:, None, self.latency : self.latency + length]

    def initial_state(self, batch: int) -> DenoiserState:
        """Return the state before the first sample of `batch` signals."""
        return DenoiserState(
            samples=self.analysis.new_zeros(batch, self.latency),
            history=self.analysis.new_zeros(batch, 0),
            tail=self.analysis.new_zeros(batch, self.latency),
            level=self._no_level(batch),
            resonators=self.resonators.initial_state(batch),
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
        history = torch.cat([state.history, chunk[:, 0]], dim=1)[:, -HISTORY:]
        hops = (waiting.shape[1] - self.latency) // self.hop
        if hops == 0:
            return chunk[..., :0], replace(state, samples=waiting, history=history)
        spectra = self._spectra(waiting)
        level, sums = self._level(spectra, state.level)
        features = self.encode(_compress(spectra / level)).transpose(1, 2)
        mixed, network = self.network.stream(features, state.network)
        filtered, resonators = self._filter(spectra, level, mixed, state.resonators)
        added = self._overlap(filtered)
        done = hops * self.hop
        added = added + F.pad(state.tail, (0, done))
        tail, rest = added[:, done:], waiting[:, done:]
        return added[:, None, :done], DenoiserState(rest, history, tail, sums, resonators, network)

    def finish(self, state: DenoiserState) -> Tensor:
        """Return what is left after the last chunk, (B, 1, n): what `stream` has not given, and up to a hop more."""
        missing = self.latency + (self.latency - state.samples.shape[1]) % self.hop
        if state.history.shape[1] == 0:
            return state.samples.new_zeros(len(state.samples), 1, 0)
        return self.stream(continuation(state.history, missing)[:, None], state)[0]

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

    def _filter(
        self, spectra: Tensor, level: Tensor, mixed: Tensor, before: ResonatorState
    ) -> tuple[Tensor, ResonatorState]:
        """Apply what the network says, (B, C, K), to the spectra (B, K, bins); also return the resonators' states."""
        parts = torch.view_as_real(spectra)
        fine_re, fine_im, after = self.resonators(parts, before)
        power = torch.cat([parts.square().sum(-1, keepdim=True), fine_re.square() + fine_im.square()], dim=-1)
        loud = (power / level[..., None].square() + 1e-8).sqrt().sqrt()
        context = self.decode(self.norm(mixed.transpose(1, 2))).unflatten(-1, (-1, 4))
        # (B, K, bins, channels) seen as an image with its channels last in memory, which convolutions run fastest on
        image = torch.cat([context, loud], dim=-1).permute(0, 3, 1, 2)
        hidden = F.silu(self.local_mid(F.silu(self.local_in(image))))
        factors = self.local_out(hidden).permute(0, 2, 3, 1)
        re, im = factors[..., 2:].chunk(2, dim=-1)
        tones = self.resonators.spectra(fine_re * re - fine_im * im, fine_re * im + fine_im * re)
        return spectra * torch.complex(factors[..., 0], factors[..., 1]) + tones, after

    def _overlap(self, spectra: Tensor) -> Tensor:
        """Transform back and add overlapping frames: (B, K, bins) → (B, (K − 1)·hop + window)."""
        frames = torch.fft.irfft(spectra, self.window, norm="ortho") * self.analysis
        parts = frames.unflatten(-1, (-1, self.hop)).unbind(dim=2)
        last = len(parts) - 1
        shifted = [F.pad(part.flatten(1), (i * self.hop, (last - i) * self.hop)) for i, part in enumerate(parts)]
        return torch.stack(shifted).sum(dim=0)


def _compress(spectra: Tensor) -> Tensor:
    """Take the square root of all magnitudes, keep the phases: complex (…, bins) → parts (…, 2 bins)."""
    compressed = spectra * (spectra.abs() + 1e-6).rsqrt()
    return torch.cat([compressed.real, compressed.imag], dim=-1)
