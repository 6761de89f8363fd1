"""Time LSM against networks of the library spandrel: one image, same threads, eval mode, in turns; and its memory.

    python benchmarks/network.py --threads 1 --clock cpu

Weights are random. Before each timing LSM's result is compared with that of its plain path: attention as matrix
products and a softmax without padded heads, the scan in plain torch. Times are the least of those taken in turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
import typer
from measuring import Row, check, hat_s, in_turns, photo, show, swinir, write
from torch import Tensor, nn

from lsm import create_model
from lsm.allocator import keep_freed_memory
from lsm.inference.memory import peak_memory
from lsm.mixers import window_attention

PEERS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "light": {"SwinIR-light": partial(swinir, "light", 4)},
    "s": {"SwinIR": partial(swinir, "classical", 4), "HAT-S": partial(hat_s, 4)},
    "base": {"SwinIR": partial(swinir, "classical", 4), "HAT-S": partial(hat_s, 4)},
}
SIZES = {"light": (64, 128, 192), "s": (64,), "base": (64,)}


def plain_attention(qkv: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Attend with all scores of all windows in memory."""
    q, k, v = qkv
    return (scale * q @ k.transpose(-2, -1) + bias).softmax(dim=-1) @ v


@contextmanager
def plain() -> Iterator[None]:
    """Run networks on their plain path."""
    with (
        patch.object(window_attention, "_attention", plain_attention),
        patch("lsm.scan.api.HAS_NUMBA", False),
        patch("lsm.scan.modulated.HAS_NUMBA", False),
    ):
        yield


def peak_mib(model: nn.Module, image: Tensor) -> float:
    """Measure the most memory that torch allocates for a forward pass, in MiB."""
    return round(peak_memory(lambda: model(image), torch.device("cpu")) / 2**20, 1)


def rows_of(variant: str, sizes: list[int], image: Path | None, repeats: int, clock: str) -> list[Row]:
    """Measure one preset at all sizes; a row for each peer."""
    model = create_model(variant, 4).eval()
    with patch.object(window_attention, "padded_depth", lambda depth: depth):
        twin = create_model(variant, 4).eval()
    twin.load_state_dict(model.state_dict())
    peers = {name: build() for name, build in PEERS[variant].items()}
    rows: list[Row] = []
    # Networks are made outside the inference mode, as a program loads them: what depends on weights is kept then.
    with torch.inference_mode():
        for size in sizes:
            pixels = photo(image, size, size)
            with plain():
                expected = twin(pixels)
                naive = peak_mib(twin, pixels)
            check(model(pixels), expected, 1e-4, f"{variant} at {size}x{size}")
            ours, *others = in_turns([partial(each, pixels) for each in (model, *peers.values())], repeats, clock)
            for (name, peer), times in zip(peers.items(), others, strict=True):
                rows.append(
                    {"network": f"LSM {variant}", "input": f"{size}×{size}", "s": round(min(ours), 3),
                     "peer": name, "peer s": round(min(times), 3),
                     "ratio": round(min(ours) / min(times), 3), "peak MiB": peak_mib(model, pixels),
                     "naive peak MiB": naive, "peer peak MiB": peak_mib(peer, pixels)}
                )  # fmt: skip
    return rows


def main(
    variants: str = "light,s,base",
    sizes: str = "",
    image: Path | None = None,
    threads: int = 1,
    repeats: int = 5,
    clock: str = "wall",
    out: Path | None = None,
) -> None:
    """Print the table and write it; `--sizes` are in low-resolution pixels, `--clock` is wall or cpu."""
    torch.manual_seed(0)
    keep_freed_memory()  # as the `lsm` command does
    torch.set_num_threads(threads)
    rows: list[Row] = []
    for variant in variants.split(","):
        rows += rows_of(variant, [int(s) for s in sizes.split(",") if s] or [*SIZES[variant]], image, repeats, clock)
    show(rows)
    write(out, "network", {"threads": threads, "clock": clock, "image": str(image or "astronaut")}, {"networks": rows})


if __name__ == "__main__":
    typer.run(main)
