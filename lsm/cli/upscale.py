"""`lsm upscale`: pictures in, larger pictures out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lsm.cli.optional_value import OptionalAddress
from lsm.errors import OptionError

if TYPE_CHECKING:
    from lsm.inference.batch import Summary, Watcher
    from lsm.inference.jobs import Job, Naming
    from lsm.inference.recipe import Recipe

Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT...", help="Pictures, folders (with all below them), globs, or URLs.")
]
MoreInputs = Annotated[list[str], typer.Option("-i", "--input", help="The same as an INPUT; may be repeated.")]
Output = Annotated[
    str,
    typer.Option("-o", "--output", help="Folder for the results; for one picture also the result's name; or a URL."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "-n", "--model", "--model_name", "--model-name", "--model_path", "--model-path",
        help="Embedded weights (see `lsm models`), a preset of theirs, or a .safetensors, .pth or .onnx file.",
        show_default="tiny",
    ),
]  # fmt: skip
Scale = Annotated[
    float | None,
    typer.Option(
        "-s", "--scale", "--outscale",
        help="Enlargement. Where the network has another, its result is resampled (antialiased bicubic).",
        show_default="the network's",
    ),
]  # fmt: skip
Suffix = Annotated[str, typer.Option("--suffix", help="Results are called NAME_SUFFIX; may be empty.")]
Ext = Annotated[str, typer.Option("--ext", help="auto (as the input), png, jpg, webp, tif or bmp.")]
Tile = Annotated[
    str,
    typer.Option("-t", "--tile", help="Side of a tile in input pixels; 0: no tiles; auto: what fits the memory."),
]
TileOverlap = Annotated[
    int,
    typer.Option(
        "--tile-overlap",
        "--tile_overlap",
        "--tile-pad",
        "--tile_pad",
        help="Input pixels that neighbouring tiles share.",
    ),
]
Precision = Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")]
Fp32 = Annotated[bool, typer.Option("--fp32", help="The same as --precision fp32, which is the default.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda (also cuda:1) or mps.")]
Alpha = Annotated[str, typer.Option("--alpha", help="How transparency is enlarged: model, bicubic, or drop.")]
Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="Average 8 flipped and turned runs: better, 8 times slower.")
]
SkipExisting = Annotated[bool, typer.Option("--skip-existing", "--skip_existing", help="Leave results that are there.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there, even the inputs.")]
Seed = Annotated[int, typer.Option("--seed", help="For networks that draw random categories (released semantics).")]
MaxMegapixels = Annotated[
    float, typer.Option("--max-megapixels", "--max_megapixels", help="Refuse larger inputs: decompression bombs.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Spread the work over a Ray cluster: HOST:PORT, auto (the default) or local.",
        show_default=False,
    ),
]
RayCpus = Annotated[
    int | None,
    typer.Option(
        "--ray-cpus",
        "--ray_cpus",
        help="Processors for each worker on the cluster.",
        show_default="torch's threads here",
    ),
]


def upscale(
    inputs: Inputs = [],  # noqa: B006  (typer reads it, nothing writes it)
    more_inputs: MoreInputs = [],  # noqa: B006
    output: Output = "results",
    model: Model = None,
    scale: Scale = None,
    suffix: Suffix = "out",
    ext: Ext = "auto",
    tile: Tile = "auto",
    tile_overlap: TileOverlap = 32,
    precision: Precision = "fp32",
    fp32: Fp32 = False,
    device: Device = "auto",
    alpha: Alpha = "model",
    ensemble: Ensemble = False,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    max_megapixels: MaxMegapixels = 128,
    ray: Ray = None,
    ray_cpus: RayCpus = None,
) -> None:
    """Upscale pictures: PNG, JPEG, WebP, TIFF, BMP, of 8 or 16 bits, grey or colour, with or without transparency.

    Exit code: 0 all done, 1 some files failed (they are named), 2 wrong usage, 130 interrupted.
    """
    from lsm.inference.jobs import Naming
    from lsm.inference.models import weights_for
    from lsm.inference.recipe import Recipe
    from lsm.inference.remote import any_path

    if not (names := [*inputs, *more_inputs]):
        raise OptionError("Which pictures? Name files, folders or globs: lsm upscale photo.jpg -o results")
    if fp32 and precision != "fp32":
        raise OptionError(f"--fp32 and --precision {precision} exclude each other.")
    naming = Naming(any_path(output), suffix, ext, drop_alpha=alpha == "drop")
    recipe = Recipe(weights_for(model, scale), tile, tile_overlap, precision, device, ensemble, scale, alpha, seed)
    run_over_files(names, naming, recipe, skip_existing, overwrite, max_megapixels, ray, ray_cpus)


def run_over_files(
    names: Sequence[str],
    naming: Naming,
    recipe: Recipe,
    skip_existing: bool,
    overwrite: bool,
    max_megapixels: float,
    ray: str | None,
    ray_cpus: int | None,
) -> NoReturn:
    """Run a network over pictures, with bars, a summary and the exit code; what `upscale` and `restore` share.

    Args:
        names: Files, folders, globs, URLs.
        naming: How results are named.
        recipe: Makes the network's `Upscaler`.
        skip_existing: See `lsm.inference.jobs.plan`.
        overwrite: Likewise.
        max_megapixels: Larger inputs fail.
        ray: Address of a Ray cluster; none for this process.
        ray_cpus: Processors for each worker there.

    Raises:
        typer.Exit: Always, if the work began: with 0, 1 or 130.
        OptionError: If the options contradict each other, or as `plan` and `Recipe.build` do.
    """
    from lsm.inference.jobs import plan

    if ray_cpus is not None and ray is None:
        raise OptionError("--ray-cpus is for --ray; without it torch takes all processors, or OMP_NUM_THREADS of them.")
    jobs, left_out = plan(names, naming, skip_existing=skip_existing, overwrite=overwrite)
    max_pixels = int(max_megapixels * 1e6)
    summary = _run(jobs, recipe, max_pixels) if ray is None else _run_on_ray(jobs, recipe, max_pixels, ray, ray_cpus)
    _print_summary(summary, jobs, left_out, "upscaled" if recipe.task == "sr" else "restored")
    raise typer.Exit(summary.exit_code)


def _run(jobs: Sequence[Job], recipe: Recipe, max_pixels: int) -> Summary:
    """Do the jobs in this process."""
    from lsm.inference.batch import upscale_files
    from lsm.inference.provenance import described, processing_note

    upscaler = recipe.build()
    settings = described(recipe.weights, upscaler)
    with _progress(jobs, settings) as watcher:
        note = processing_note(settings, recipe.seed)
        return upscale_files(jobs, upscaler, note=note, max_pixels=max_pixels, watcher=watcher)


def _run_on_ray(jobs: Sequence[Job], recipe: Recipe, max_pixels: int, address: str, cpus: int | None) -> Summary:
    """Do the jobs on a cluster."""
    from lsm.inference import cluster
    from lsm.inference.provenance import processing_note

    with cluster.connected(address):
        workers = cluster.Cluster(recipe, cpus)
        with _progress(jobs, workers.settings) as watcher:
            note = processing_note(workers.settings, recipe.seed)
            return workers.upscale_files(jobs, note=note, max_pixels=max_pixels, watcher=watcher)


@contextlib.contextmanager
def _progress(jobs: Sequence[Job], settings: str) -> Iterator[Watcher]:
    """Show a bar for the files and one for the tiles, with the time to go; plain lines where there is no terminal."""
    from rich import progress
    from rich.console import Console
    from rich.markup import escape

    from lsm.inference.batch import Watcher
    from lsm.inference.image_io import printable

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(escape(settings))
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        files = bars.add_task("files", total=len(jobs))
        tiles = bars.add_task("tiles", total=None)

        def started(job: Job) -> None:
            bars.reset(tiles, total=None, description=escape(printable(job.source.name)[-30:]))

        def tile(done: int, total: int) -> None:
            bars.update(tiles, completed=done, total=total)

        def finished(job: Job, text: str, good: bool) -> None:
            console.print(escape(text) if good else f"[red]failed[/red]  {escape(text)}")
            bars.advance(files)

        yield Watcher(started, tile, finished)


def _print_summary(summary: Summary, jobs: Sequence[Job], left_out: Sequence[Job], done: str) -> None:
    """Print how many files were done, and name those that failed."""
    parts = [f"{len(summary.done)} of {len(jobs)} {done}"]
    if left_out:
        parts.append(f"{len(left_out)} skipped, their results exist")
    if summary.failed:
        parts.append(f"{len(summary.failed)} failed")
    if summary.interrupted:
        parts.append("interrupted")
    typer.echo("; ".join(parts) + ".", err=True)
    for _, reason in summary.failed:
        typer.echo(f"  {reason}", err=True)


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command(cls=OptionalAddress)(upscale)
