"""Time `linear_scan` on this machine against the time loop and against a recursive log-depth scan."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import typer
from torch import Tensor

from lsm import create_model
from lsm.scan import linear_scan

Pair = tuple[Tensor, Tensor]


def log_depth(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Scan by halving: pairs of neighbouring steps become one, the shorter sequence is scanned, the rest filled in."""
    length = b.shape[1]
    if length == 1:
        return a, b
    even = length // 2 * 2
    a0, a1, b0, b1 = a[:, :even:2], a[:, 1:even:2], b[:, :even:2], b[:, 1:even:2]
    product, state = log_depth(a1 * a0, a1 * b0 + b1)
    out_a, out_b = torch.empty_like(a), torch.empty_like(b)
    out_a[:, 1:even:2], out_b[:, 1:even:2] = product, state
    out_a[:, 0], out_b[:, 0] = a[:, 0], b[:, 0]
    rest = a[:, 2::2], b[:, 2::2]
    count = rest[0].shape[1]
    out_a[:, 2::2], out_b[:, 2::2] = rest[0] * product[:, :count], rest[0] * state[:, :count] + rest[1]
    return out_a, out_b


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Time a function after one warm-up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def inputs(length: int, states: int) -> tuple[Pair, Pair]:
    """Draw gates of radius 0.9 to 1 and inputs, (1, L, N) complex as two planes."""
    gates = torch.polar(0.9 + 0.1 * torch.rand(1, length, states), 6.283 * torch.rand(1, length, states))
    pair = [torch.view_as_real(gates).unbind(-1), torch.randn(2, 1, length, states).unbind(0)]
    first, second = ((x.contiguous().requires_grad_(), y.contiguous().requires_grad_()) for x, y in pair)
    return first, second


def training_step(a: Pair, b: Pair, backend: str) -> None:
    """Run forward and backward."""
    states = linear_scan(a, b, backend=backend)
    torch.autograd.grad(states[0].sum() + states[1].sum(), (*a, *b))


def main(threads: int = 1, repeats: int = 5) -> None:
    """Print ratios at (1, 16384, 32), the share of an LSM-light forward pass, and the cost by length."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    a, b = inputs(16384, 32)
    complex_a, complex_b = torch.complex(*a).detach(), torch.complex(*b).detach()
    with torch.no_grad():
        ours = torch.complex(*linear_scan(a, b))
        for name, other in (("time loop", torch.complex(*linear_scan(a, b, backend="reference"))),
                            ("log depth", log_depth(complex_a, complex_b)[1])):  # fmt: skip
            error = (ours - other).abs().max().item()
            assert error < 1e-3, f"{name}: {error}"
        forward = median_seconds(lambda: linear_scan(a, b), repeats)
        halving = median_seconds(lambda: log_depth(complex_a, complex_b), repeats)
    blocked = median_seconds(lambda: training_step(a, b, "blocked"), repeats)
    loop = median_seconds(lambda: training_step(a, b, "reference"), 2)
    print(f"torch {torch.__version__}, {threads} thread(s), (1, 16384, 32) complex float32")
    print(f"forward and backward {blocked * 1e3:.1f} ms, time loop {loop * 1e3:.0f} ms: {loop / blocked:.1f} x")
    print(f"forward {forward * 1e3:.1f} ms, log-depth scan {halving * 1e3:.1f} ms: {halving / forward:.1f} x")

    model, image = create_model("light", 4).eval(), torch.rand(1, 3, 128, 128)
    light_a, light_b = inputs(16384, model.config.d_state)
    with torch.inference_mode():
        network = median_seconds(lambda: model(image), 3)
        one = median_seconds(lambda: linear_scan(light_a, light_b), repeats)
    print(f"LSM-light x4 at 128x128: {network:.2f} s, its 12 scans {12 * one * 1e3:.0f} ms: {12 * one / network:.1%}")
    with torch.no_grad():
        for exponent in range(10, 21, 2):
            long_a, long_b = inputs(2**exponent, 32)
            each = median_seconds(lambda a=long_a, b=long_b: linear_scan(a, b), 3)  # type: ignore[misc]
            print(f"L = {2**exponent:>8,}: {each * 1e3:8.2f} ms, {each / 2**exponent * 1e9:6.0f} ns a step")


if __name__ == "__main__":
    typer.run(main)
