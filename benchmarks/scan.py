"""Time `linear_scan` on this machine against the time loop and against a recursive log-depth scan.

    python benchmarks/scan.py --threads 1

Transitions and inputs are made of the pixels of a photograph. Results are compared before they are timed; times are the
least of those taken in turns.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
import typer
from measuring import Row, check, in_turns, photo, show, write
from torch import Tensor

from lsm import create_model
from lsm.scan import linear_scan
from lsm.scan.op import HAS_NUMBA

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


def inputs(image: Path | None, length: int, states: int) -> tuple[Pair, Pair]:
    """Make gates of radius 0.9 to 1 and inputs, (1, L, N) complex as two planes, of an image's tokens."""
    tokens = photo(image, 512, -(-length // 512)).flatten(2)[..., :length].transpose(1, 2) - 0.5
    mixed = tokens @ torch.randn(3, 4 * states)
    radius, phase, *b = (plane.contiguous() for plane in mixed.chunk(4, dim=-1))
    gates = torch.polar(1 - 0.1 * radius.sigmoid(), phase)
    re, im, *b = (plane.contiguous().requires_grad_() for plane in (gates.real, gates.imag, *b))
    return (re, im), (b[0], b[1])


def training_step(a: Pair, b: Pair, backend: str) -> None:
    """Run forward and backward."""
    states = linear_scan(a, b, backend=backend)
    torch.autograd.grad(states[0].sum() + states[1].sum(), (*a, *b))


def baselines(a: Pair, b: Pair, repeats: int, clock: str) -> list[Row]:
    """Compare the backends and the log-depth scan at one shape."""
    complex_a, complex_b = torch.complex(*a).detach(), torch.complex(*b).detach()
    names = [*(["numba"] if HAS_NUMBA else []), "blocked", "reference"]
    with torch.no_grad():
        expected = torch.view_as_real(torch.complex(*linear_scan(a, b, backend="reference")))
        for name in names:
            check(torch.stack(linear_scan(a, b, backend=name), dim=-1), expected, 1e-3, name)
        check(torch.view_as_real(log_depth(complex_a, complex_b)[1]), expected, 1e-3, "log depth")
        runs = [partial(linear_scan, a, b, backend=name) for name in names]
        forward = in_turns([*runs, partial(log_depth, complex_a, complex_b)], repeats, clock)
    both = in_turns([partial(training_step, a, b, name) for name in names], max(2, repeats // 3), clock)
    rows: list[Row] = []
    for name, alone, step in zip([*names, "log depth"], forward, [*both, None], strict=True):
        rows.append(
            {"scan": name, "forward ms": round(1e3 * min(alone), 3),
             "log depth / it": round(min(forward[-1]) / min(alone), 1),
             "forward and backward ms": round(1e3 * min(step), 2) if step else "",
             "reference / it": round(min(both[-1]) / min(step), 1) if step else ""}
        )  # fmt: skip
    return rows


def main(
    threads: int = 1, repeats: int = 9, clock: str = "wall", image: Path | None = None, out: Path | None = None
) -> None:
    """Print ratios at (1, 16384, 32), the share of an LSM-light forward pass, and the cost by length."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    rows = baselines(*inputs(image, 16384, 32), repeats, clock)
    show(rows)

    model, pixels = create_model("light", 4).eval(), photo(image, 128, 128)
    a, b = inputs(image, 16384, model.config.d_state)
    with torch.inference_mode():
        network, one = in_turns([partial(model, pixels), partial(linear_scan, a, b)], 3, clock)
    share = 12 * min(one) / min(network)
    print(f"LSM-light x4 at 128x128: {min(network):.2f} s, its 12 scans {12e3 * min(one):.0f} ms: {share:.1%}")
    lengths: list[Row] = []
    with torch.no_grad():
        for exponent in range(10, 21, 2):
            a, b = inputs(image, 2**exponent, 32)
            (times,) = in_turns([partial(linear_scan, a, b)], 5, clock)
            lengths.append(
                {"L": 2**exponent, "ms": round(1e3 * min(times), 3), "ns a step": round(1e9 * min(times) / 2**exponent)}
            )
    show(lengths)
    settings: Row = {"threads": threads, "clock": clock, "image": str(image or "astronaut"), "share of light": share}
    write(out, "scan", settings, {"baselines": rows, "lengths": lengths})


if __name__ == "__main__":
    typer.run(main)
