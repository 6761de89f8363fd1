"""`lsm models` and `lsm info`: which weights there are, and what a network costs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsm.errors import OptionError

if TYPE_CHECKING:
    from rich.table import Table

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Embedded weights (tiny-x4), a preset at a scale (light-x4) or with a task (light-denoise), a weights "
        "file, or an ONNX file.",
    ),
]
OutputSize = Annotated[
    str, typer.Option("--output-size", "--output_size", help="WIDTHxHEIGHT of the upscaled image, in pixels.")
]
Memory = Annotated[bool, typer.Option("--memory/--no-memory", help="Measure the peak memory by one run.")]
Device = Annotated[str, typer.Option("--device", help="Where the memory is measured: auto, cpu, cuda or mps.")]


def models() -> None:
    """List the weights that come with the package: those for images, and those that denoise sound."""
    from rich.console import Console

    from lsm.audio.checkpoint import EMBEDDED as FOR_SOUND
    from lsm.audio.checkpoint import embedded_file
    from lsm.weights import EMBEDDED as FOR_IMAGES
    from lsm.weights.registry import embedded_path

    console = Console()
    for table, paths in (
        (_for_images(), {name: embedded_path(name) for name in FOR_IMAGES}),
        (_denoisers(), {name: embedded_file(name) for name in FOR_SOUND}),
    ):
        console.print(table)
        console.print("\ntrained on")
        for name, path in paths.items():
            console.print(f" {name}: {_header(path).get('training_set', 'not stated')}", markup=False, soft_wrap=True)
        console.print()


def _header(path: Path) -> dict[str, str]:
    """Read what a file of weights says of itself."""
    from lsm.weights import read_checkpoint

    return read_checkpoint(path).metadata


def _for_images() -> Table:
    """List the weights for images."""
    from rich.table import Column, Table

    from lsm.weights import EMBEDDED, load_model
    from lsm.weights.registry import embedded_path

    table = Table(Column("name", no_wrap=True), "task", "parameters", "size", "iterations", "licence", box=None)
    for name in EMBEDDED:
        path = embedded_path(name)
        header = _header(path)
        model = load_model(name)
        table.add_row(
            name,
            model.config.purpose,
            f"{sum(p.numel() for p in model.parameters()):,}",
            f"{path.stat().st_size / 1e6:.2f} MB",
            *(header.get(key, "not stated") for key in ("iterations", "licence")),
        )
    return table


def _denoisers() -> Table:
    """List the weights for sound."""
    from rich.table import Column, Table

    from lsm.audio.checkpoint import EMBEDDED, embedded_file, load_denoiser

    table = Table(
        Column("name", no_wrap=True),
        "rate",
        "latency",
        "parameters",
        "size",
        "steps",
        "licence",
        box=None,
    )
    for name in EMBEDDED:
        denoiser, header = load_denoiser(name), _header(embedded_file(name))
        latency = denoiser.latency
        table.add_row(
            name,
            f"{denoiser.rate / 1000:g} kHz",
            "looks ahead" if latency is None else f"{1000 * latency:.0f} ms",
            f"{sum(p.numel() for p in denoiser.network.parameters()):,}",
            f"{embedded_file(name).stat().st_size / 1e6:.2f} MB",
            *(header.get(key, "not stated") for key in ("steps", "licence")),
        )
    return table


def info(
    model: ModelName,
    output_size: OutputSize = "1280x720",
    memory: Memory = True,
    device: Device = "auto",
) -> None:
    """Print what a network is and costs: parameters, MACs with the scan counted, peak memory."""
    from lsm.image.io import printable
    from lsm.inference.device import pick_device
    from lsm.inference.models import open_model
    from lsm.profiling.complexity import complexity, forward_peak_memory, human

    if Path(model).suffix.lower() == ".onnx":
        return _onnx_info(model)
    match = re.fullmatch(r"(\d+)x(\d+)", output_size.replace("×", "x").lower())
    if not match or "0" in (match[1].strip("0") or "0", match[2].strip("0") or "0"):
        raise OptionError(f"--output-size {output_size!r} must be WIDTHxHEIGHT in pixels, e.g. 1280x720.")
    network, origin = open_model(model)
    config, scale = network.config, network.config.upscale
    width, height = (-(-int(side) // scale) for side in match.groups())
    cost = complexity(network, height, width)
    lines = {
        "network": f"{printable(model)} (weights: {origin}), {config.purpose}, {config.recurrence.mode} recurrence",
        "parameters": f"{cost.parameters:,}",
        "input → output": f"{width}×{height} → {width * scale}×{height * scale}",
        "MACs": f"{human(cost.macs)} (of these scans: {human(cost.scan_macs)})",
    }
    if memory:
        place = pick_device(device)
        peak = forward_peak_memory(network.to(place), height, width)
        lines["peak memory"] = f"{human(peak, 'B', 1024)} on {place}, whole image in fp32, beyond the weights"
    for name, text in lines.items():
        typer.echo(f"{name + ':':<16}{text}")


def _onnx_info(name: str) -> None:
    """Print what an ONNX file says of itself; its operations cannot be counted."""
    from lsm.image.io import printable
    from lsm.inference.onnx_network import OnnxNetwork

    said = OnnxNetwork(name).metadata
    does = f"×{said['scale']}" if said.get("task", "sr") == "sr" else said["task"]
    typer.echo(f"{printable(name)}: {does}, {said['precision']}, run by onnxruntime")
    for key in sorted(said.keys() - {"architecture", "scale", "task", "precision", "config"}):
        typer.echo(f"{key.replace('_', ' ') + ':':<16}{said[key]}")


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    app.command()(models)
    app.command()(info)
