"""Time exported networks beside the network itself: torch, a saved program, onnxruntime in fp32 and in fp16.

    python benchmarks/exported.py --clock cpu

Each form is first compared with the network. Presets without embedded weights have random ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import typer
from measuring import Row, check, in_turns, photo, show, write
from torch import Tensor

from lsm.arch.base import Network
from lsm.export.onnx_file import export_onnx
from lsm.export.program import export_program
from lsm.inference.onnx_network import OnnxNetwork
from lsm.weights.load import open_described

TOLERANCES = {"torch": 1e-6, "saved program": 1e-4, "ONNX fp32": 1e-4, "ONNX fp16": 5e-3}


def forms_of(network: Network) -> dict[str, Callable[[Tensor], Tensor]]:
    """Export a network in every form and load each again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_program(network, folder / "a.pt2")
        for precision in ("fp32", "fp16"):
            export_onnx(network, folder / f"{precision}.onnx", precision, sizes=[])
        return {
            "torch": network,
            "saved program": torch.export.load(folder / "a.pt2").module(),
            "ONNX fp32": OnnxNetwork(folder / "fp32.onnx"),
            "ONNX fp16": OnnxNetwork(folder / "fp16.onnx"),
        }


def main(
    models: str = "tiny-x4,light-x4",
    sizes: str = "64,128",
    image: Path | None = None,
    threads: int = 1,
    repeats: int = 5,
    clock: str = "wall",
    out: Path | None = None,
) -> None:
    """Print the milliseconds of each form and write them; `--clock` is wall or cpu."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    rows: list[Row] = []
    with torch.inference_mode():
        for name in models.split(","):
            network, _ = open_described(name)
            with torch.inference_mode(False):
                forms = forms_of(network)
            for side in map(int, sizes.split(",")):
                pixels = photo(image, side, side)
                expected = network(pixels)
                for form, call in forms.items():
                    check(call(pixels), expected, TOLERANCES[form], f"{form} of {name} at {side}x{side}")
                times = in_turns([partial(call, pixels) for call in forms.values()], repeats, clock)
                least = {f"{form}, ms": round(1000 * min(kept)) for form, kept in zip(forms, times, strict=True)}
                rows.append({"network": name, "input": f"{side}×{side}", **least})
    show(rows)
    write(out, "exported", {"threads": threads, "clock": clock, "image": str(image or "astronaut")}, {"forms": rows})


if __name__ == "__main__":
    typer.run(main)
