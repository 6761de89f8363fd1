"""`lsm models` and `lsm info`: which weights there are, and what a network costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsm.errors import OptionError

if TYPE_CHECKING:
    from rich.table import Table

    from lsm.weights.header import Header

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
    """List the weights that come with the package: those for images, and those that denoise audio."""
    from rich.console import Console

    from lsm.weights.header import read_header
    from lsm.weights.resolve import FOLDER, SUFFIX, embedded_path, list_models

    names = list_models()
    images = {name: read_header(embedded_path(name)) for name in names}
    others = {path.stem: read_header(path) for path in sorted(FOLDER.glob(f"*{SUFFIX}")) if path.stem not in names}
    denoisers = {name: header for name, header in others.items() if "denoiser" in header.metadata}
    console = Console()
    for table, headers in ((_for_images(images), images), (_denoisers(denoisers), denoisers)):
        console.print(table)
        for title, key in (("for", "intended_use"), ("limits", "limits"), ("trained on", "training_set")):
            console.print(f"\n{title}")
            for line in _grouped(headers, key):
                console.print(f" {line}", markup=False, soft_wrap=True)
        console.print()


def _for_images(headers: Mapping[str, Header]) -> Table:
    """List the weights for images."""
    from rich.table import Column, Table

    from lsm.weights.resolve import resolve

    table = Table(Column("name", no_wrap=True), "task", "parameters", "size", "iterations", "licence", box=None)
    for name, header in headers.items():
        model = resolve(name).model
        assert model is not None
        task = f"×{model.scale}" if model.task == "sr" else model.task
        table.add_row(name, task, *_numbers(header), *_stated(header, "iterations", "licence"))
    return table


def _denoisers(headers: Mapping[str, Header]) -> Table:
    """List the weights for audio; a causal network's latency is its window."""
    from rich.table import Column, Table

    columns = ("rate", "latency", "parameters", "size", "steps", "licence")
    table = Table(Column("name", no_wrap=True), *columns, box=None)
    for name, header in headers.items():
        config: dict[str, Any] = header.values("denoiser")
        rate = config["rate"]
        causal = config["kind"] == "causal"
        latency = f"{1000 * config['settings']['window'] / rate:.0f} ms" if causal else "looks ahead"
        table.add_row(name, f"{rate / 1000:g} kHz", latency, *_numbers(header), *_stated(header, "steps", "licence"))
    return table


def _grouped(headers: Mapping[str, Header], key: str) -> list[str]:
    """Return what headers state under a key, a line for all weights that state the same."""
    names: dict[str, list[str]] = {}
    for name, header in headers.items():
        names.setdefault(header.metadata.get(key, "not stated"), []).append(name)
    return [f"{', '.join(group)}: {text}" for text, group in names.items()]


def _numbers(header: Header) -> tuple[str, str]:
    """Return the number of parameters and the size of a file as text."""
    return f"{header.numbers:,}", f"{header.size / 1e6:.2f} MB"


def _stated(header: Header, *keys: str) -> list[str]:
    """Return what a header states under some keys."""
    return [header.metadata.get(key, "not stated") for key in keys]


def info(
    model: ModelName,
    output_size: OutputSize = "1280x720",
    memory: Memory = True,
    device: Device = "auto",
) -> None:
    """Print what a network is and costs: parameters, MACs with the scan counted, peak memory."""
    from lsm.image.io import printable
    from lsm.inference.device import pick_device
    from lsm.profiling.complexity import complexity, format_quantity, forward_peak_memory
    from lsm.weights.load import open_described

    if Path(model).suffix.lower() == ".onnx":
        return _onnx_info(model)
    match = re.fullmatch(r"(\d+)x(\d+)", output_size.replace("×", "x").lower())
    if not match or "0" in (match[1].strip("0") or "0", match[2].strip("0") or "0"):
        raise OptionError(f"--output-size {output_size!r} must be WIDTHxHEIGHT in pixels, e.g. 1280x720.")
    network, origin = open_described(model)
    config, scale = network.config, network.config.upscale
    width, height = (-(-int(side) // scale) for side in match.groups())
    cost = complexity(network, height, width)
    lines = {
        "network": f"{printable(model)} (weights: {origin}), {config.purpose}, {config.recurrence.mode} recurrence",
        "parameters": f"{cost.parameters:,}",
        "input → output": f"{width}×{height} → {width * scale}×{height * scale}",
        "MACs": f"{format_quantity(cost.macs)} (of these scans: {format_quantity(cost.scan_macs)})",
    }
    if memory:
        place = pick_device(device)
        peak = forward_peak_memory(network.to(place), height, width)
        lines["peak memory"] = f"{format_quantity(peak, 'B', 1024)} on {place}, whole image in fp32, beyond the weights"
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
