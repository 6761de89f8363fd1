"""A service around `Upscaler` under load: seconds of 1 and of N requests at once, and memory over thousands of them.

python benchmarks/service.py --requests 10000 --side 32 --at-once 4
"""

from __future__ import annotations

import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import typer


def resident() -> float:
    """Return this process's memory in MB, on Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def soak(
    requests: Annotated[int, typer.Option(help="How many in all.")] = 10_000,
    side: Annotated[int, typer.Option(help="Of each image, in pixels.")] = 32,
    at_once: Annotated[int, typer.Option(help="How many wait or run at the same time.")] = 4,
    model: Annotated[str, typer.Option("-n", "--model", help="Weights.")] = "fast-x4",
    threads: Annotated[int, typer.Option(help="Of torch, for each request.")] = 1,
) -> None:
    """Print seconds alone and at once, then memory after each tenth of the requests."""
    import torch

    from lsm import Upscaler

    torch.set_num_threads(threads)
    upscaler = Upscaler(model, tile=256, device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    expected = upscaler(image)
    start = time.perf_counter()
    upscaler(image)
    alone = time.perf_counter() - start
    with ThreadPoolExecutor(at_once) as pool:
        start = time.perf_counter()
        list(pool.map(upscaler, [image] * at_once))
        together = time.perf_counter() - start
        print(f"alone {alone:.2f} s, {at_once} at once {together:.2f} s: {together / alone:.2f} times")
        for part in range(10):
            results = pool.map(upscaler, [image] * (requests // 10))
            same = all(np.array_equal(np.asarray(result), np.asarray(expected)) for result in results)
            print(
                f"{(part + 1) * (requests // 10):>6} requests: {resident():.0f} MB, {'same' if same else 'OTHER'} bytes"
            )


if __name__ == "__main__":
    typer.run(soak)
