"""What the scripts beside it share: timing in turns, an image to work on, tables, and dated JSON files."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lsm.errors import needs_extra
from lsm.files import write_text
from lsm.image.io import read_rgb
from lsm.profiling.environment import describe_environment

Row = dict[str, object]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""The time that passes; or what this process's threads spend, which other programs on the machine disturb less."""


def in_turns(runs: Sequence[Callable[[], object]], repeats: int, clock: str = "wall") -> list[list[float]]:
    """Time functions one after the other, `repeats` times over, so that what disturbs one disturbs all.

    Args:
        runs: The functions; each is called once before, to warm up.
        repeats: Rounds.
        clock: One of `CLOCKS`.

    Returns:
        For each function its times in seconds.
    """
    now = CLOCKS[clock]
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(repeats + 1):
        for run, kept in zip(runs, times, strict=True):
            start = now()
            run()
            if turn:
                kept.append(now() - start)
    return times


def least_ms(run: Callable[[], object], repeats: int, clock: str = "wall") -> float:
    """Return the least time of a call in milliseconds, after one to warm up."""
    return 1000 * min(in_turns([run], repeats, clock)[0])


def check(actual: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    """Stop unless two results agree, relative to the largest value."""
    error = ((actual.float() - expected.float()).abs().max() / expected.abs().max()).item()
    if not error < tolerance:
        raise SystemExit(f"{what}: results differ by {error:.1e}, more than {tolerance:.0e}; nothing was timed.")


def photo(path: Path | None, height: int, width: int) -> Tensor:
    """Cut the middle out of a photograph, repeated where it is too small.

    Args:
        path: Of an image; by default scikit-image's astronaut.
        height: H.
        width: W.

    Returns:
        (1, 3, H, W) in [0, 1].
    """
    if path is None:
        with needs_extra("train", "The sample photograph needs scikit-image"):
            import skimage.data

        path = Path(skimage.data.__file__).parent / "astronaut.png"
    pixels = torch.tensor(read_rgb(path)).permute(2, 0, 1)
    pixels = pixels.repeat(1, -(-height // pixels.shape[1]), -(-width // pixels.shape[2]))
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    return pixels[None, :, top : top + height, left : left + width] / 255


def swinir(variant: str, scale: int) -> nn.Module:
    """Build spandrel's SwinIR "light" or "classical" with random weights, in eval mode."""
    from spandrel.architectures.SwinIR import SwinIR

    common = {"upscale": scale, "window_size": 8, "img_range": 1.0, "mlp_ratio": 2}
    if variant == "light":
        return SwinIR(
            img_size=64, depths=[6] * 4, embed_dim=60, num_heads=[6] * 4, upsampler="pixelshuffledirect", **common
        ).eval()
    return SwinIR(
        img_size=48, depths=[6] * 6, embed_dim=180, num_heads=[6] * 6, upsampler="pixelshuffle", **common
    ).eval()


def hat_s(scale: int) -> nn.Module:
    """Build spandrel's HAT with the settings of HAT-S and random weights, in eval mode."""
    from spandrel.architectures.HAT import HAT

    return HAT(
        img_size=64, window_size=16, compress_ratio=24, squeeze_factor=24, conv_scale=0.01, overlap_ratio=0.5,
        img_range=1.0, depths=[6] * 6, embed_dim=144, num_heads=[6] * 6, mlp_ratio=2, upscale=scale,
        upsampler="pixelshuffle", resi_connection="1conv",
    ).eval()  # fmt: skip


def show(rows: Sequence[Row]) -> None:
    """Print rows as a table in Markdown."""
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n" + "|---" * len(names) + "|")
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |", flush=True)


def write(out: Path | None, name: str, settings: Row, tables: dict[str, Sequence[Row]]) -> None:
    """Write tables with the date, the settings and the machine.

    Args:
        out: File; by default NAME_DATE.json in the present folder.
        name: Of what was measured.
        settings: How.
        tables: By name.
    """
    date = datetime.date.today().isoformat()
    out = out or Path(f"{name}_{date}.json")
    content = {"date": date, **settings, "environment": describe_environment(torch.device("cpu")), **tables}
    write_text(out, json.dumps(content, indent=1) + "\n")
    print(f"Written to {out}.")
