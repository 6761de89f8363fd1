"""`lsm export` and `lsm convert`: networks in the forms that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsm.cli.image_options import Plugins

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="Any weights that `lsm upscale -n` takes: a name or a file.")
]
Output = Annotated[Path, typer.Option("-o", "--output", help="The file to write.")]
Precision = Annotated[
    str, typer.Option("--precision", help="fp32; or fp16: matrix products, convolutions and their weights in half.")
]
Licence = Annotated[
    str | None, typer.Option("--licence", "--license", help="Licence of the weights.", show_default="what they state")
]
Recurrence = Annotated[
    str | None, typer.Option("--recurrence", help="What the recurrence computes.", show_default="what the weights say")
]

export = typer.Typer(name="export", help="Write a network for another program.", no_args_is_help=True)


@export.command()
def onnx(
    model: ModelName,
    output: Output,
    precision: Precision = "fp32",
    licence: Licence = None,
    recurrence: Recurrence = None,
) -> None:
    """Write an ONNX file of dynamic height and width, compared with the network before it is written."""
    from lsm.export.onnx_file import export_onnx
    from lsm.weights import about_weights, load_model

    about = about_weights(model, licence=licence)
    report = export_onnx(load_model(model, recurrence=recurrence), output, precision, about)
    typer.echo(f"{output}: {report.size:,} bytes, {precision}, licence {report.metadata['licence']}")
    if report.metadata["recurrence"] == "official":
        typer.echo("The published implementation draws categories at random; the file takes the most probable ones.")
    for (height, width), value in report.differences.items():
        typer.echo(f"{width}×{height}: differs from the network by {value:.1e} at most")


@export.command(name="torch")
def saved_program(model: ModelName, output: Output, licence: Licence = None, recurrence: Recurrence = None) -> None:
    """Write a saved program of torch.export, of dynamic height and width."""
    from lsm.export.program import export_program
    from lsm.weights import about_weights, load_model

    size = export_program(load_model(model, recurrence=recurrence), output, about_weights(model, licence=licence))
    typer.echo(f"{output}: {size:,} bytes")


@export.command()
def web(
    model: ModelName,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write.")],
    runtime: Annotated[
        Path,
        typer.Option("--runtime", help="The npm package onnxruntime-web: its folder, or the archive of `npm pack`."),
    ] = Path("node_modules/onnxruntime-web"),
    tile: Annotated[int, typer.Option("-t", "--tile", help="Side of a tile, in low-resolution pixels.")] = 128,
    licence: Licence = None,
    recurrence: Recurrence = None,
) -> None:
    """Write a static page that upscales images on the visitor's machine."""
    from lsm.export.web import export_web
    from lsm.weights import about_weights, load_model

    about = about_weights(model, licence=licence)
    report = export_web(load_model(model, recurrence=recurrence), output, runtime, Path(model).stem, about, tile)
    typer.echo(
        f"{output}: a network of {report.model_size:,} bytes in tiles of {report.tile}, onnxruntime-web of "
        f"{report.runtime_size:,} bytes ({', '.join(report.ways)})"
    )
    typer.echo(f"To look at it: python -m http.server --directory {output}")


def convert(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="Any weights: a name, hf:OWNER/NAME/FILE, or a file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .safetensors, or a .pth for BasicSR.")],
    key: Annotated[
        str | None, typer.Option("--key", help="Which weights of a .pth with several.", show_default="params_ema")
    ] = None,
    naming: Annotated[
        str,
        typer.Option("--naming", help="Of a .pth: lsm, official (the published names), or auto: as its recurrence."),
    ] = "auto",
    training_set: Annotated[
        str | None, typer.Option("--training-set", "--training_set", help="What it was trained on, for the header.")
    ] = None,
    iterations: Annotated[int | None, typer.Option("--iterations", help="Of the training, for the header.")] = None,
    licence: Licence = None,
    plugin: Plugins = [],  # noqa: B006  (typer reads it, nothing writes it)
) -> None:
    """Write weights as our safetensors, which say where they come from, or as a .pth of BasicSR."""
    from lsm.plugins import load_plugins
    from lsm.weights.convert import convert as convert_weights

    load_plugins(plugin)
    about = {"training_set": training_set, "iterations": iterations, "licence": licence, "averaging": key}
    known = {name: str(value) for name, value in about.items() if value is not None}
    model = convert_weights(source, output, key=key, naming=naming, about=known)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    typer.echo(
        f"{output}: {output.stat().st_size:,} bytes, {model.config.purpose}, {parameters:,} parameters, "
        f"{model.config.recurrence.mode} recurrence"
    )


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    app.add_typer(export)
    app.command()(convert)
