"""Can a network remember eight bits for 2,000 steps? An LRU and a plain RNN of equal size, trained alike.

    python benchmarks/copy_task.py

Eight random bits are shown, one a step; then comes nothing for 2,000 steps; then a norm and a linear layer have to say
all eight from the last output of one recurrent layer. Printed is the share of right bits among 512 unseen sequences:
50 % is chance, 100 % is perfect memory. The plain RNN (tanh, as in torch) has at least as many parameters as the LRU;
both see the same sequences for the same number of steps with Adam, at each of the given learning rates.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from lsm.sequence import LRU

BITS = 8


class Memory(nn.Module):
    """A recurrent layer between two linear ones, read at the last step: (B, L, 2) → logits (B, BITS)."""

    def __init__(self, recurrent: nn.Module, width: int) -> None:
        super().__init__()
        self.encode, self.recurrent = nn.Linear(2, 16, bias=False), recurrent
        self.decode = nn.Sequential(nn.LayerNorm(width, eps=1e-12), nn.Linear(width, BITS))

    def forward(self, sequence: Tensor) -> Tensor:
        """Predict the bits of a sequence."""
        outputs = self.recurrent(self.encode(sequence))
        return self.decode((outputs[0] if isinstance(outputs, tuple) else outputs)[:, -1])


def sequences(count: int, delay: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences (count, BITS + delay, 2), of the value ±1 and of whether there is one, and their bits."""
    bits = torch.randint(2, (count, BITS), generator=generator).float()
    inputs = torch.zeros(count, BITS + delay, 2)
    inputs[:, :BITS] = torch.stack([2 * bits - 1, torch.ones_like(bits)], dim=-1)
    return inputs, bits


def train(name: str, rate: float, delay: int, steps: int, batch: int) -> tuple[float, int]:
    """Train one network; return the share of right bits among unseen sequences, and the number of parameters."""
    torch.manual_seed(0)
    if name == "LRU":
        network = Memory(LRU(16, 32, r_min=0.999), 16)
    else:
        network = Memory(nn.RNN(16, 40, batch_first=True), 40)
    generator = torch.Generator().manual_seed(1)
    # An error of the phase counts once a step, 2,000 times in all, so the eigenvalues take smaller steps.
    slow = [p for key, p in network.named_parameters() if key.endswith(("nu_log", "theta_log"))]
    others = [p for key, p in network.named_parameters() if not key.endswith(("nu_log", "theta_log"))]
    groups: list[dict[str, Any]] = [{"params": others}, {"params": slow, "lr": rate / 1000}]
    optimizer = torch.optim.Adam(groups, lr=rate)
    for _ in range(steps):
        inputs, bits = sequences(batch, delay, generator)
        loss = F.binary_cross_entropy_with_logits(network(inputs), bits)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        inputs, bits = sequences(512, delay, torch.Generator().manual_seed(2))
        right = ((network(inputs) > 0) == bits.bool()).float().mean().item()
    return right, sum(parameter.numel() for parameter in network.parameters())


def main(
    delay: Annotated[int, typer.Option(help="Steps between the last bit and the answer.")] = 2000,
    steps: Annotated[int, typer.Option(help="Training steps.")] = 300,
    batch: Annotated[int, typer.Option(help="Sequences a step.")] = 16,
    rates: Annotated[str, typer.Option(help="Learning rates to try.")] = "0.001,0.01",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
) -> None:
    """Print one line a network and learning rate."""
    torch.set_num_threads(threads)
    for name in ("LRU", "RNN"):
        for rate in map(float, rates.split(",")):
            start = time.perf_counter()
            right, size = train(name, rate, delay, steps, batch)
            print(f"{name}  {size} parameters  learning rate {rate:g}: {100 * right:.1f} % of the bits right after "
                  f"{delay} steps ({time.perf_counter() - start:.0f} s)", flush=True)  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
