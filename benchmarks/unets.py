"""Compare the LRU-UNet with dilated convolutions, attention and multi-scale fusion, at equal parameters.

    python benchmarks/unets.py

The task: harmonics of 200–800 Hz in white noise (`lsm.audio.synthesis.simple_pair`), half a second at 16 kHz, 7.6 dB on
average. Each network sees frames of 16 samples through a strided convolution; between it and a transposed one stands
one U-Net of `build_unet`, causal, with two stages of factor 2, whose width is chosen so that the parameters are as
near as possible to the budget. All train on the same signals with the same schedule. Printed is the mean SNR of unseen
signals, the parameters, and the CPU time of a training step.
"""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from lsm.audio.metrics import snr
from lsm.audio.synthesis import simple_pair
from lsm.audio.training import learning_rate
from lsm.sequence import build_unet
from lsm.sequence.unet1d import KINDS

RATE, FRAME, STATES = 16000, 16, 64


class FramedUNet(nn.Module):
    """A 1D U-Net over frames of a waveform: (B, 1, T) → (B, 1, T), T a multiple of `FRAME`."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.encode = nn.Conv1d(1, width, FRAME, stride=FRAME)
        self.unet = build_unet(kind, width, 2, 2, causal=True, d_state=STATES)
        self.decode = nn.ConvTranspose1d(width, 1, FRAME, stride=FRAME)

    def forward(self, noisy: Tensor) -> Tensor:
        """Denoise."""
        return self.decode(self.unet(self.encode(noisy)))


def parameters(network: nn.Module) -> int:
    """Count the parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def width_for(kind: str, budget: int) -> int:
    """Return the multiple of 4 whose network comes nearest to a number of parameters."""
    return min(range(8, 129, 4), key=lambda width: abs(parameters(FramedUNet(kind, width)) - budget))


def pairs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Make pairs (count, 1, RATE / 2) of the simple task."""
    rng = np.random.default_rng(seed)
    made = [simple_pair(rng, RATE // 2, RATE) for _ in range(count)]
    noisy, clean = (torch.from_numpy(np.stack(items))[:, None] for items in zip(*made, strict=True))
    return noisy, clean


def main(
    steps: Annotated[int, typer.Option(help="Training steps of each network.")] = 600,
    batch: Annotated[int, typer.Option(help="Signals a step.")] = 8,
    budget: Annotated[int, typer.Option(help="Parameters of each network.")] = 150_000,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Print the table."""
    torch.set_num_threads(threads)
    noisy_test, clean_test = pairs(100, seed=10**6)
    print(f"noisy: {snr(noisy_test, clean_test).mean():.2f} dB; {steps} steps of {batch} signals")
    print(f"| U-Net | width | parameters | SNR / dB | CPU ms per step |\n|{'---|' * 5}")
    for kind in KINDS:
        torch.manual_seed(0)
        network = FramedUNet(kind, width := width_for(kind, budget))
        optimizer = torch.optim.Adam(network.parameters())
        start = time.process_time()
        for step in range(steps):
            noisy, clean = pairs(batch, seed=step)
            loss = -snr(network(noisy), clean).mean()
            optimizer.param_groups[0]["lr"] = learning_rate(step, steps, rate)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        spent = (time.process_time() - start) / steps
        with torch.no_grad():
            score = snr(network(noisy_test), clean_test).mean()
        print(f"| {kind} | {width} | {parameters(network)} | {score:.2f} | {1000 * spent:.0f} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
