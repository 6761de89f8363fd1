"""`lsm upscale`: images in, larger images out."""

from __future__ import annotations

import typer

from lsm.cli import image_options as options
from lsm.cli.image_run import run_over_files
from lsm.cli.optional_value import OptionalAddress
from lsm.errors import OptionError


def upscale(
    inputs: options.Inputs = [],  # noqa: B006  (typer reads it, nothing writes it)
    more_inputs: options.MoreInputs = [],  # noqa: B006
    output: options.Output = "results",
    model: options.Model = None,
    scale: options.Scale = None,
    suffix: options.Suffix = "out",
    ext: options.Ext = "auto",
    tile: options.Tile = "auto",
    tile_overlap: options.TileOverlap = 32,
    precision: options.Precision = "fp32",
    fp32: options.Fp32 = False,
    device: options.Device = "auto",
    alpha: options.Alpha = "model",
    ensemble: options.Ensemble = False,
    skip_existing: options.SkipExisting = False,
    overwrite: options.Overwrite = False,
    seed: options.Seed = 0,
    max_megapixels: options.MaxMegapixels = 128,
    ray: options.Ray = None,
    ray_cpus: options.RayCpus = None,
) -> None:
    """Upscale images: PNG, JPEG, WebP, TIFF, BMP, of 8 or 16 bits, grey or colour, with or without transparency.

    Exit code: 0 all done, 1 some files failed (they are named), 2 wrong usage, 130 interrupted.
    """
    if not (names := [*inputs, *more_inputs]):
        raise OptionError("Which images? Name files, folders or globs: lsm upscale photo.jpg -o results")
    # What can be wrong is checked before PyTorch and what reads images are imported, which takes seconds.
    how = options.upscale_options(
        fp32, tile=tile, tile_overlap=tile_overlap, precision=precision, device=device, ensemble=ensemble, scale=scale,
        alpha=alpha, seed=seed,
    )  # fmt: skip
    from lsm.weights.resolve import resolve

    source = resolve(model, scale)
    from lsm.batch.plan import Naming
    from lsm.image.remote import any_path

    naming = Naming(any_path(output), suffix, ext, drop_alpha=alpha == "drop")
    batch = options.Batch(skip_existing, overwrite, max_megapixels, ray, ray_cpus)
    run_over_files(names, naming, source, "sr", how, batch)


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command(cls=OptionalAddress)(upscale)
