"""Time an exported network beside the network itself: torch, a saved program of torch, onnxruntime in fp32 and fp16."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm.cli import user_errors


def compare(
    models: Annotated[str, typer.Option(help="Weights or presets at a scale, comma-separated.")] = "tiny-x4,light-x4",
    sizes: Annotated[str, typer.Option(help="Sides of square inputs.")] = "64,128",
    runs: Annotated[int, typer.Option(help="Interleaved runs; the least time of each is printed.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of each engine.")] = 1,
) -> None:
    """Print one line a network and size: milliseconds of each form on the CPU."""
    from lsm.export.onnx_file import export_onnx
    from lsm.export.program import export_program
    from lsm.inference.models import open_model
    from lsm.inference.onnx_network import OnnxNetwork

    torch.set_num_threads(threads)
    typer.echo(f"torch {torch.__version__}, {threads} thread(s), least of {runs}, milliseconds")
    for name in models.split(","):
        network, _ = open_model(name)
        with tempfile.TemporaryDirectory() as folder:
            export_program(network, Path(folder, "a.pt2"))
            for precision in ("fp32", "fp16"):
                export_onnx(network, Path(folder, f"{precision}.onnx"), precision, sizes=[])
            forms = {
                "torch": network,
                "program": torch.export.load(Path(folder, "a.pt2")).module(),
                "onnx fp32": OnnxNetwork(Path(folder, "fp32.onnx")),
                "onnx fp16": OnnxNetwork(Path(folder, "fp16.onnx")),
            }
        for side in map(int, sizes.split(",")):
            image = torch.rand(1, 3, side, side)
            least = dict.fromkeys(forms, float("inf"))
            with torch.inference_mode():
                for run in range(runs + 1):
                    for form, call in forms.items():
                        start = time.perf_counter()
                        call(image)
                        if run:  # the first warms up
                            least[form] = min(least[form], time.perf_counter() - start)
            row = ", ".join(f"{form} {seconds * 1e3:.0f}" for form, seconds in least.items())
            typer.echo(f"{name}, {side}×{side}: {row}")


if __name__ == "__main__":
    with user_errors():
        typer.run(compare)
