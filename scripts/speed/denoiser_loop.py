"""Compare the waveform denoiser with the same network whose LRU runs step by step in Python.

    python scripts/speed/denoiser_loop.py --threads 2

Prints the time for one second of 16 kHz audio: the least of several runs.
"""

from __future__ import annotations

from functools import partial

import torch
import typer
from measuring import least_ms
from torch import Tensor

from lsm.audio.denoiser import UNetLRUAudio
from lsm.sequence.lru import LRU, eigenvalues


class LoopLRU(LRU):
    """The LRU as a loop over time with complex numbers, as its equations are written."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Run (B, L, H) step by step."""
        transition = torch.complex(*eigenvalues(self.nu_log, self.theta_log))
        b, c = torch.complex(self.B_re, self.B_im), torch.complex(self.C_re, self.C_im)
        state = torch.zeros(inputs.shape[0], self.d_state, dtype=torch.complex64)
        outputs = []
        for step in inputs.unbind(dim=1):
            state = transition * state + step.to(torch.complex64) @ b.t()
            outputs.append((state @ c.t()).real + self.D * step)
        return torch.stack(outputs, dim=1)


def main(threads: int = 2, repeats: int = 7) -> None:
    """Print a line for each width of the network."""
    torch.set_num_threads(threads)
    second = torch.randn(1, 1, 16000)
    for features in ([16, 32, 64, 128], [8, 16, 32, 64], [4, 8, 16, 32, 64]):
        network = UNetLRUAudio(features=features).eval()
        looped = UNetLRUAudio(features=features).eval()
        size = 2 * features[-1]
        looped.lru = LoopLRU(size, size, normalize=False)
        looped.load_state_dict(network.state_dict())
        with torch.inference_mode():
            difference = (network(second) - looped(second)).abs().max().item()
            ours, loop = (least_ms(partial(net, second), repeats) for net in (network, looped))
            tokens = torch.randn(1, 16000 >> len(features), size)
            bottom = [least_ms(partial(net.lru, tokens), repeats) for net in (network, looped)]
        print(f"features {features}: {ours:.1f} ms, real-time factor {ours / 1000:.4f}; with the loop {loop:.1f} ms "
              f"({loop / ours:.1f} times); the LRU alone {bottom[0]:.2f} and {bottom[1]:.2f} ms "
              f"({bottom[1] / bottom[0]:.1f} times); outputs differ by {difference:.1e}")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
