"""`lsm restore`: images in, the same images with less noise or fewer artefacts out."""

from __future__ import annotations

from typing import Annotated

import typer

from lsm.cli import image_options as options
from lsm.cli.image_run import run_over_files
from lsm.cli.optional_value import OptionalAddress
from lsm.errors import OptionError, unknown_name

Task = Annotated[str, typer.Option("--task", help="denoise (Gaussian noise of any strength) or jpeg (its artefacts).")]
Model = Annotated[
    str | None,
    typer.Option(
        *options.MODEL_NAMES,
        help="Embedded weights (see `lsm models`), or a .safetensors, .pth or .onnx file of a network for the task.",
        show_default="tiny-denoise, fast-jpeg",
    ),
]  # fmt: skip
DropAlpha = Annotated[bool, typer.Option("--drop-alpha", "--drop_alpha", help="Leave transparency out, not as it is.")]


def restore(
    task: Task,
    inputs: options.Inputs = [],  # noqa: B006  (typer reads it, nothing writes it)
    more_inputs: options.MoreInputs = [],  # noqa: B006
    output: options.Output = "results",
    model: Model = None,
    suffix: options.Suffix = "out",
    ext: options.Ext = "auto",
    tile: options.Tile = "auto",
    tile_overlap: options.TileOverlap = 32,
    precision: options.Precision = "fp32",
    fp32: options.Fp32 = False,
    device: options.Device = "auto",
    drop_alpha: DropAlpha = False,
    ensemble: options.Ensemble = False,
    skip_existing: options.SkipExisting = False,
    overwrite: options.Overwrite = False,
    wrap: options.Wrap = False,
    seed: options.Seed = 0,
    max_megapixels: options.MaxMegapixels = 128,
    quality: options.Quality = None,
    subsampling: options.Subsampling = None,
    pages: options.Pages = "one",
    ray: options.Ray = None,
    ray_cpus: options.RayCpus = None,
) -> None:
    """Remove noise or JPEG artefacts from images; files, depths and exit codes as for `lsm upscale`."""
    from lsm.weights.resolve import RESTORING_TASKS, resolve

    if not (names := [*inputs, *more_inputs]):
        raise OptionError("Which images? Name files, folders or globs: lsm restore photo.jpg --task denoise")
    if task not in RESTORING_TASKS:
        raise OptionError(unknown_name("task", task, RESTORING_TASKS))
    # At scale 1 resampled transparency is the transparency itself.
    how = options.upscale_options(
        fp32, tile=tile, tile_overlap=tile_overlap, precision=precision, device=device, ensemble=ensemble,
        alpha="drop" if drop_alpha else "bicubic", seed=seed, wrap=wrap,
    )  # fmt: skip
    source = resolve(model, task=task)
    from lsm.batch.plan import Naming  # reading images takes PyTorch and seconds, which errors above need not wait for
    from lsm.image.remote import any_path

    naming = Naming(any_path(output), suffix, ext, drop_alpha=drop_alpha)
    made = options.output_options(quality=quality, subsampling=subsampling, pages=pages)
    batch = options.Batch(skip_existing, overwrite, max_megapixels, ray, ray_cpus, made)
    run_over_files(names, naming, source, task, how, batch)


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command(cls=OptionalAddress)(restore)
