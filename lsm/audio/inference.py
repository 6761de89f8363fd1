"""Denoising of signals in memory, and of signals of any length that come block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lsm.audio.checkpoint import Denoiser
from lsm.audio.offset import OffsetState, remove_offset
from lsm.audio.streaming import StreamingDenoiser
from lsm.errors import InputError, OptionError

CHUNK_SECONDS = 8.0
"""Length of the chunks that a network that looks ahead sees."""

OVERLAP_SECONDS = 1.0
"""What neighbouring chunks share: in its first half the LRU of the later chunk warms up, in the second they blend."""


class Stream(Protocol):
    """A signal of constant memory: blocks in, blocks out, all outputs together as long as all inputs."""

    def push(self, block: Tensor) -> Tensor:
        """Take noisy samples (C, n), any n, and return those denoised ones (C, m) that are ready."""

    def finish(self) -> Tensor:
        """Return the rest, (C, m)."""


def denoise_single(denoiser: Denoiser, signal: Tensor) -> Tensor:
    """Denoise a signal, as a whole.

    Args:
        denoiser: The network.
        signal: (T,), (C, T) or (B, C, T) at the denoiser's rate, floating point; a network of one channel takes each
            channel for itself.

    Returns:
        The same shape.

    Raises:
        InputError: If the signal is empty, holds NaN or infinity, or has a shape that the network does not take.
    """
    channels = getattr(denoiser.network, "in_channels", 1)
    if signal.dim() not in (1, 2, 3) or signal.numel() == 0:
        raise InputError(f"A signal has the shape (T,), (C, T) or (B, C, T) and samples, not {tuple(signal.shape)}.")
    if not signal.is_floating_point() or not signal.isfinite().all():
        raise InputError("A signal holds finite floating-point numbers; this one holds integers, NaN or infinity.")
    if channels > 1 and (signal.dim() == 1 or signal.shape[-2] != channels):
        raise InputError(f"This network takes {channels} channels together, not a shape of {tuple(signal.shape)}.")
    device = next(denoiser.network.parameters()).device
    batch = signal.reshape(-1, channels, signal.shape[-1]).to(device, torch.float32)
    batch = _without_offset(denoiser, batch)
    level = batch.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp_min(1e-6) if denoiser.normalize else 1.0
    with torch.inference_mode():
        estimate = denoiser.network(batch / level) * level
    _refuse_overflow(estimate)
    if estimate.shape != batch.shape:
        raise InputError(f"This network maps {channels} channels to {estimate.shape[1]}; call it directly.")
    return estimate.reshape(signal.shape).to(signal.device, signal.dtype)


def _without_offset(denoiser: Denoiser, batch: Tensor) -> Tensor:
    """Remove the offset of signals (B, C, T): as it would be removed from a stream, or the mean of the whole."""
    if denoiser.causal:
        return remove_offset(batch.flatten(0, 1))[0].view_as(batch)
    return batch - batch.mean(dim=-1, keepdim=True)


def _refuse_overflow(estimate: Tensor) -> None:
    """Raise InputError if numbers grew beyond what can be computed with."""
    if not estimate.isfinite().all():
        raise InputError("The result holds NaN or infinity: some samples are far too large; full scale is 1.")


def denoise_multiple(denoiser: Denoiser, signals: Sequence[Tensor]) -> list[Tensor]:
    """Denoise signals of any lengths, each as `denoise_single` does.

    Raises:
        InputError: As `denoise_single`, with the number of the signal, from 0.
    """
    outputs = []
    for index, signal in enumerate(signals):
        try:
            outputs.append(denoise_single(denoiser, signal))
        except InputError as error:  # noqa: PERF203  (one try a signal)
            raise InputError(f"Signal {index}: {error}") from error
    return outputs


def open_stream(denoiser: Denoiser, channels: int) -> Stream:
    """Begin a signal of `channels` channels that comes block by block, each channel for itself.

    A causal network carries its state, so that the result is that of the whole signal; another one works on
    overlapping chunks, and only signals up to `CHUNK_SECONDS` are what `denoise_single` gives.

    Raises:
        OptionError: If the network takes several channels together.
    """
    if getattr(denoiser.network, "in_channels", 1) != 1:
        raise OptionError("Files and streams need a denoiser of one channel.")
    return CausalStream(denoiser, channels) if denoiser.causal else OverlapStream(denoiser, channels)


class CausalStream:
    """A stream through a causal network.

    Args:
        denoiser: A causal one.
        channels: C.

    Raises:
        OptionError: If the network looks ahead.
    """

    def __init__(self, denoiser: Denoiser, channels: int) -> None:
        if not isinstance(denoiser.network, StreamingDenoiser):
            raise OptionError("This denoiser looks ahead; a stream needs a causal one, such as denoiser-causal-16k.")
        self.network = denoiser.network
        self.device = self.network.analysis.device
        self.state = self.network.initial_state(channels)
        self.skip, self.owed = self.network.latency, 0
        self.offset: OffsetState | None = None

    def push(self, block: Tensor) -> Tensor:
        """See `Stream`; the output lags by the network's latency."""
        self.owed += block.shape[-1]
        with torch.inference_mode():
            block, self.offset = remove_offset(block.to(self.device), self.offset)
            outputs, self.state = self.network.stream(block[:, None], self.state)
        _refuse_overflow(outputs)
        return self._due(outputs).cpu()

    def finish(self) -> Tensor:
        """See `Stream`."""
        with torch.inference_mode():
            return self._due(self.network.finish(self.state)).cpu()

    def _due(self, outputs: Tensor) -> Tensor:
        """Leave out what belongs to the time before the signal's start and after its end: (C, 1, n) → (C, m)."""
        skipped = min(self.skip, outputs.shape[-1])
        self.skip -= skipped
        outputs = outputs[:, 0, skipped:][:, : self.owed]
        self.owed -= outputs.shape[-1]
        return outputs


class OverlapStream:
    """A stream through a network that looks ahead, by chunks that overlap and blend.

    Args:
        denoiser: Any of one channel.
        channels: C.
        chunk: Samples of a chunk.
        overlap: Samples that neighbouring chunks share, less than half a chunk.
    """

    def __init__(self, denoiser: Denoiser, channels: int, chunk: int | None = None, overlap: int | None = None) -> None:
        self.denoiser = denoiser
        self.chunk = chunk or round(CHUNK_SECONDS * denoiser.rate)
        self.overlap = overlap or round(OVERLAP_SECONDS * denoiser.rate)
        self.waiting = torch.zeros(channels, 0)
        self.tail: Tensor | None = None
        warm_up = self.overlap // 2
        self.fade = torch.cat([torch.zeros(warm_up), torch.linspace(0, 1, self.overlap - warm_up)])

    def push(self, block: Tensor) -> Tensor:
        """See `Stream`; the output lags by a chunk at most."""
        self.waiting = torch.cat([self.waiting, block], dim=1)
        outputs = [block[:, :0]]
        # Strictly more than a chunk: the last chunk, whose end is not blended, is left for `finish`.
        while self.waiting.shape[1] > self.chunk:
            estimate = self._blended(self.waiting[:, : self.chunk])
            outputs.append(estimate[:, : -self.overlap])
            self.tail = estimate[:, -self.overlap :]
            self.waiting = self.waiting[:, self.chunk - self.overlap :]
        return torch.cat(outputs, dim=1)

    def finish(self) -> Tensor:
        """See `Stream`."""
        waiting, self.waiting = self.waiting, self.waiting[:, :0]
        return self._blended(waiting) if waiting.shape[1] else waiting

    def _blended(self, chunk: Tensor) -> Tensor:
        """Denoise a chunk (C, n) and blend its beginning with the end of the chunk before it."""
        # As (C, 1, n): the channels are signals of their own, each with its own level.
        estimate = denoise_single(self.denoiser, chunk[:, None])[:, 0]
        if self.tail is not None:
            estimate = estimate.clone()
            estimate[:, : self.overlap] = torch.lerp(self.tail, estimate[:, : self.overlap], self.fade)
        return estimate
