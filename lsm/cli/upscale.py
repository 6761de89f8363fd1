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
    wrap: options.Wrap = False,
    seed: options.Seed = 0,
    max_megapixels: options.MaxMegapixels = 128,
    size: options.Size = None,
    width: options.Width = None,
    height: options.Height = None,
    fit: options.Fit = "fit",
    max_side: options.MaxSide = None,
    quality: options.Quality = None,
    subsampling: options.Subsampling = None,
    dpi: options.Dpi = "keep",
    pages: options.Pages = "one",
    plugin: options.Plugins = [],  # noqa: B006
    ray: options.Ray = None,
    ray_cpus: options.RayCpus = None,
) -> None:
    """Upscale images, of 8 or 16 bits or floats, grey or colour, with or without transparency.

    Read are PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, HEIC, JPEG XL, JPEG 2000, PPM, TGA and ICO; the first five are
    written, others become PNG. `-` stands for the standard input or output.
    Exit code: 0 all done, 1 some files failed (they are named), 2 wrong usage, 130 interrupted.
    """
    if not (names := [*inputs, *more_inputs]):
        raise OptionError("Which images? Name files, folders or globs: lsm upscale photo.jpg -o results")
    # What can be wrong is checked before PyTorch and what reads images are imported, which takes seconds.
    how = options.upscale_options(
        fp32, tile=tile, tile_overlap=tile_overlap, precision=precision, device=device, ensemble=ensemble, scale=scale,
        alpha=alpha, seed=seed, wrap=wrap,
    )  # fmt: skip
    from lsm.plugins import load_plugins
    from lsm.weights.resolve import resolve

    load_plugins(plugin)
    source = resolve(model, scale)
    if scale is not None and (size or width or height):
        raise OptionError("--scale and --size, --width or --height exclude each other.")
    made = options.output_options(
        size, width=width, height=height, fit=fit, max_side=max_side, quality=quality, subsampling=subsampling, dpi=dpi,
        pages=pages,
    )  # fmt: skip
    from lsm.batch.plan import Naming
    from lsm.image.remote import any_path

    naming = Naming(any_path(output), suffix, ext, drop_alpha=alpha == "drop")
    batch = options.Batch(skip_existing, overwrite, max_megapixels, ray, ray_cpus, made)
    run_over_files(names, naming, source, "sr", how, batch)


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command(cls=OptionalAddress)(upscale)
