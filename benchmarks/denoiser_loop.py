"""Compare the waveform denoiser with the same network whose LRU runs step by step in Python.

    python benchmarks/denoiser_loop.py --threads 2
    python benchmarks/denoiser_loop.py --threads 1 --clock cpu     # on a busy machine

Prints the time for one second of 16 kHz audio: the least of several runs, taken in turns.
"""

from __future__ import annotations

from functools import partial

import torch
import typer
from measuring import in_turns
from torch import Tensor

from lsm.allocator import keep_freed_memory
from lsm.audio.denoiser import UNetLRUAudio
from lsm.sequence.lru import LRU


class LoopLRU(LRU):
    """The LRU as a loop over time with complex numbers, as its equations are written."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Run (B, L, H) step by step."""
        transition = torch.complex(*self.transition())
        b, c = torch.complex(self.B_re, self.B_im), torch.complex(self.C_re, self.C_im)
        state = torch.zeros(inputs.shape[0], self.d_state, dtype=torch.complex64)
        outputs = []
        for step in inputs.unbind(dim=1):
            state = transition * state + step.to(torch.complex64) @ b.t()
            outputs.append((state @ c.t()).real + self.D * step)
        return torch.stack(outputs, dim=1)


def main(threads: int = 2, repeats: int = 7, clock: str = "wall") -> None:
    """Print a line for each width of the network."""
    keep_freed_memory()  # as the `lsm` command does
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
            whole = in_turns([partial(net, second) for net in (network, looped)], repeats, clock)
            tokens = torch.randn(1, 16000 >> len(features), size)
            alone = in_turns([partial(net.lru, tokens) for net in (network, looped)], repeats, clock)
        print(f"features {features}; outputs differ by {difference:.1e}")
        for name, times in (("whole network", whole), ("LRU alone", alone)):
            ours, loop = (1000 * min(runs) for runs in times)
            print(f"  {name}: {ours:.1f} ms, with the loop {loop:.1f} ms, {loop / ours:.1f} times ({clock})")


if __name__ == "__main__":
    typer.run(main)
