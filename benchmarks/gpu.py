"""Time the scans (share of the copy bandwidth) and LSM-light (latency, memory, against SwinIR-light) on a CUDA device.

Prints tables and writes them as JSON with the date. Every result is checked before it is timed. Weights are random.
"""

from __future__ import annotations

import datetime
import json
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
import typer
from measuring import Row, check, show, swinir
from torch import Tensor, nn

from lsm import create_model
from lsm.files import write_text
from lsm.scan import linear_scan, modulated_scan

SHAPES = ((1, 16384, 32), (1, 57600, 16), (1, 230400, 16), (8, 65536, 32))
"""(B, L, N) of the scans: one image of 128×128, the inputs of 1280×720 at ×4 and ×2, and far more than a cache."""

LOW_RESOLUTION = {2: (360, 640), 4: (180, 320)}
"""Input (H, W) for an output of 1280×720, by scale."""

Shape = tuple[int, int, int]


def median_ms(runs: list[Callable[[], object]], repeats: int) -> list[float]:
    """Time functions in turns by events of the device, after three warm-ups each; medians in milliseconds."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(repeats + 3):
        for run, kept in zip(runs, times, strict=True):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            run()
            end.record()
            end.synchronize()
            if turn >= 3:
                kept.append(start.elapsed_time(end))
    return [statistics.median(kept) for kept in times]


def copy_bandwidth(repeats: int) -> float:
    """Measure bytes a second, read and written, of copying 1 GiB."""
    source = torch.empty(1 << 28, device="cuda")
    target = torch.empty_like(source)
    (ms,) = median_ms([lambda: target.copy_(source)], repeats)
    return 2 * source.nbytes / ms * 1e3


@contextmanager
def plain_torch() -> Iterator[None]:
    """Make the automatic choices take plain torch, as on a machine without Triton."""
    with patch("lsm.scan.api.HAS_TRITON", False), patch("lsm.scan.modulated.HAS_TRITON", False):
        yield


class Case(NamedTuple):
    """A scan to time."""

    name: str
    run: Callable[[str], tuple[Tensor, ...]]
    """Takes the name of a backend."""
    fast: str
    plain: str
    leaves: tuple[Tensor, ...]
    least_bytes: int
    """Of the forward pass: each input read once, each output written once."""
    tolerance: float


def linear_case(dtype: torch.dtype, shape: Shape) -> Case:
    """Make a complex `linear_scan` with gates of radius 0.9 to 1; its states are float32."""
    gate = torch.polar(0.9 + 0.1 * torch.rand(shape), torch.rand(shape))
    a_re, a_im = (plane.to("cuda", dtype).requires_grad_() for plane in (gate.real, gate.imag))
    b_re, b_im = (torch.randn(shape, device="cuda", dtype=dtype).requires_grad_() for _ in range(2))
    least = (4 * dtype.itemsize + 8) * math.prod(shape)

    def run(backend: str) -> tuple[Tensor, ...]:
        return linear_scan((a_re, a_im), (b_re, b_im), backend=backend)

    return Case("linear_scan", run, "triton", "blocked", (a_re, a_im, b_re, b_im), least, 1e-3)


def modulated_case(dtype: torch.dtype, shape: Shape) -> Case:
    """Make a `modulated_scan` in random order, as autocast calls it: modulation in float32, u and y in `dtype`."""
    batch, length, width = shape
    drive = torch.randn(batch, length, 2 * width, device="cuda", dtype=dtype).requires_grad_()
    modulation = torch.rand(batch, length, 4 * width, device="cuda").requires_grad_()
    rotation = torch.polar(torch.full((width,), 0.95), torch.rand(width)).cuda()
    order = torch.rand(batch, length, device="cuda").argsort(dim=-1)
    least = (4 * dtype.itemsize + 16) * math.prod(shape) + 8 * batch * length

    def run(backend: str) -> tuple[Tensor, ...]:
        memory, gates = modulation.split([width, 3 * width], dim=-1)
        return (modulated_scan(drive, memory, (rotation.real, rotation.imag), gates, order, backend=backend),)

    tolerance = 1e-3 if dtype == torch.float32 else 1e-2  # of a result that is rounded to bfloat16
    return Case("modulated_scan", run, "fused", "composed", (drive, modulation), least, tolerance)


def scan_rows(bandwidth: float, repeats: int) -> list[Row]:
    """Time the scans, with kernels and in plain torch, in turns."""
    rows: list[Row] = []
    for make, dtype, shape in product((linear_case, modulated_case), (torch.float32, torch.bfloat16), SHAPES):
        case = make(dtype, shape)
        names = (case.fast, case.plain)
        with torch.no_grad():
            for actual, expected in zip(*map(case.run, names), strict=True):
                check(actual, expected, case.tolerance, f"{case.name} of {dtype} at {shape}")
            fast, plain = median_ms([partial(case.run, name) for name in names], repeats)
        fast_step, plain_step = median_ms([partial(training_step, case, name) for name in names], repeats)
        share = case.least_bytes / fast * 1e3 / bandwidth
        rows.append(
            {"scan": case.name, "type": str(dtype)[6:], "(B, L, N)": str(shape), "forward ms": round(fast, 4),
             "share of copy bandwidth": round(share, 3), "plain torch ms": round(plain, 4),
             "and backward ms": round(fast_step, 4), "plain torch and backward ms": round(plain_step, 4)}
        )  # fmt: skip
    return rows


def training_step(case: Case, backend: str) -> None:
    """Run forward and backward."""
    outputs = case.run(backend)
    torch.autograd.grad(outputs, case.leaves, [torch.ones_like(output) for output in outputs])


def network_rows(repeats: int) -> list[Row]:
    """Time LSM-light with kernels, in plain torch and compiled, and SwinIR-light, in turns at each setting."""
    rows: list[Row] = []
    for scale, (height, width) in LOW_RESOLUTION.items():
        image = torch.rand(1, 3, height, width, device="cuda")
        ours = create_model("light", scale).eval().cuda()
        peer = swinir("light", scale).cuda()
        for dtype in (torch.float32, torch.bfloat16):
            with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=dtype == torch.bfloat16):
                with plain_torch():
                    expected = ours(image)
                tolerance = 1e-3 if dtype == torch.float32 else 5e-2
                check(ours(image), expected, tolerance, f"LSM-light ×{scale} in {dtype}")
                runs: dict[str, Callable[[], object]] = {
                    "LSM-light": partial(ours, image),
                    "LSM-light, plain torch": partial(in_plain_torch, ours, image),
                    "LSM-light, compiled": partial(torch.compile(ours), image),
                    "SwinIR-light": partial(peer, image),
                    "SwinIR-light, compiled": partial(torch.compile(peer), image),
                }
                peaks = [peak_bytes(run) for run in runs.values()]
                times = median_ms(list(runs.values()), repeats)
            base = times[list(runs).index("SwinIR-light")]
            rows += [
                {"network": name, "scale": scale, "type": str(dtype)[6:], "ms": round(ms, 2),
                 "against SwinIR-light": round(ms / base, 3), "peak MiB": peak >> 20}
                for name, ms, peak in zip(runs, times, peaks, strict=True)
            ]  # fmt: skip
    return rows


def in_plain_torch(net: nn.Module, image: Tensor) -> Tensor:
    """Run a network without the kernels."""
    with plain_torch():
        return net(image)


def peak_bytes(run: Callable[[], object]) -> int:
    """Run once to compile and warm up, then measure the most memory allocated at a time, weights included."""
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def main(repeats: int = 30, out: Path = Path("gpu_speed.json")) -> None:
    """Measure everything on the first CUDA device and write `out`."""
    if not torch.cuda.is_available():
        print("This measures a CUDA device, and torch sees none here; nothing was measured.", file=sys.stderr)
        raise typer.Exit(2)
    torch.manual_seed(0)
    bandwidth = copy_bandwidth(repeats)
    head = {"date": datetime.date.today().isoformat(), "device": torch.cuda.get_device_name(),
            "torch": torch.__version__, "copy GB/s": round(bandwidth / 1e9)}  # fmt: skip
    print(", ".join(f"{key} {value}" for key, value in head.items()))
    scans = scan_rows(bandwidth, repeats)
    show(scans)
    networks = network_rows(repeats)
    show(networks)
    write_text(out, json.dumps({**head, "scans": scans, "networks": networks}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
