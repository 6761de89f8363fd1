"""The LRU-UNet, and its streaming: the same numbers whether a sequence comes whole or in chunks of any size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lsm.errors import OptionError
from lsm.sequence.lru import LRU, State
from lsm.sequence.unet1d import MixerStage, UNet1d


@dataclass(frozen=True)
class StreamState:
    """What a causal `LRUUNet` carries from chunk to chunk, a tuple with an entry for each stage."""

    encoder: tuple[State, ...]
    """States of the encoder's LRUs."""
    bottleneck: State
    """State of the LRU at the bottom."""
    decoder: tuple[State, ...]
    """States of the decoder's LRUs."""
    pending: tuple[Tensor, ...]
    """Tokens (B, fewer than factor, C) that do not fill a group of the strided convolution yet."""
    ready: tuple[Tensor, ...]
    """Tokens (B, fewer than factor, C) from below whose time has not come yet."""


class LRUUNet(UNet1d):
    """A 1D U-Net whose mixers are linear recurrent units: (B, C, T) → (B, C, T), any T.

    Args:
        d_model: C, channels in and out.
        d_state: N, complex states of each LRU.
        n_layers: Stages.
        downsample_factor: Of each stage.
        causal: See `UNet1d`; a causal network can be streamed.
        r_min: Least |λ| of the LRUs at the start.
        r_max: Greatest |λ| at the start.
        max_phase: Greatest phase of λ at the start, in radians.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int,
        n_layers: int,
        downsample_factor: int,
        causal: bool = False,
        *,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
    ) -> None:
        super().__init__(
            d_model,
            n_layers,
            downsample_factor,
            lambda width: LRU(width, d_state, r_min, r_max, max_phase),
            causal=causal,
        )

    def initial_state(self, batch: int) -> StreamState:
        """Return the state before the first sample of `batch` sequences.

        Raises:
            OptionError: If the network is not causal.
        """
        if not self.causal:
            raise OptionError("This LRU-UNet looks ahead, so it cannot be streamed; build it with causal=True.")
        like = _lru(self.bottleneck).nu_log
        widths = [self.d_model * 2**level for level in range(self.n_layers)]
        return StreamState(
            encoder=tuple(_lru(stage).initial_state(batch) for stage in self.encoder),
            bottleneck=_lru(self.bottleneck).initial_state(batch),
            decoder=tuple(_lru(stage).initial_state(batch) for stage in self.decoder),
            pending=tuple(like.new_zeros(batch, 0, width) for width in widths),
            ready=tuple(like.new_zeros(batch, self.factor - 1, width) for width in widths),
        )

    def stream(self, chunk: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Map the next chunk of a sequence.

        Args:
            chunk: (B, C, T), any T, also 0.
            state: What the call before returned, or `initial_state`.

        Returns:
            The outputs of the chunk's own samples, (B, C, T), and the state after them.
        """
        tokens, state = self._stream_from(0, chunk.transpose(1, 2), state)
        return tokens.transpose(1, 2), state

    def _stream_from(self, level: int, tokens: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """Run all below and including a stage on new tokens (B, T, C) of its input."""
        if tokens.shape[1] == 0:
            return tokens, state
        if level == self.n_layers:
            tokens, carried = _scan_stage(self.bottleneck, tokens, state.bottleneck)
            return tokens, replace(state, bottleneck=carried)
        skip, encoder = _scan_stage(self.encoder[level], tokens, state.encoder[level])
        waiting = torch.cat([state.pending[level], skip], dim=1)
        full = waiting.shape[1] // self.factor * self.factor
        deeper, state = self._stream_from(level + 1, self.downs[level](waiting[:, :full]), state)
        arrived = torch.cat([state.ready[level], self.ups[level](deeper)], dim=1)
        length = tokens.shape[1]
        mixed, decoder = _scan_stage(self.decoder[level], skip + arrived[:, :length], state.decoder[level])
        return mixed, replace(
            state,
            encoder=_put(state.encoder, level, encoder),
            decoder=_put(state.decoder, level, decoder),
            pending=_put(state.pending, level, waiting[:, full:]),
            ready=_put(state.ready, level, arrived[:, length:]),
        )


def _lru(stage: nn.Module) -> LRU:
    """Return the recurrent unit of a stage."""
    assert isinstance(stage, MixerStage)
    assert isinstance(stage.mixer, LRU)
    return stage.mixer


def _scan_stage(stage: nn.Module, tokens: Tensor, state: State) -> tuple[Tensor, State]:
    """Run a stage's LRU from a state, then its norm and activation."""
    assert isinstance(stage, MixerStage)
    mixed, state = _lru(stage).scan(tokens, state)
    return stage.activation(stage.norm(mixed)), state


def _put(items: tuple, index: int, item: object) -> tuple:
    """Return the tuple with one entry replaced."""
    return (*items[:index], item, *items[index + 1 :])
