"""A network over a user's images: bars while it works, then a summary and the exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from lsm.cli.bars import progress_bars
from lsm.errors import OptionError

if TYPE_CHECKING:
    from lsm.batch.plan import Job, Naming
    from lsm.batch.run import Summary, Watcher
    from lsm.inference.recipe import Recipe


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
    """Run a network over images, with bars, a summary and the exit code; what `upscale` and `restore` share.

    Args:
        names: Files, folders, globs, URLs.
        naming: How results are named.
        recipe: Makes the network's `Upscaler`.
        skip_existing: See `lsm.batch.plan.plan`.
        overwrite: Likewise.
        max_megapixels: Larger inputs fail.
        ray: Address of a Ray cluster; none for this process.
        ray_cpus: Processors for each worker there.

    Raises:
        typer.Exit: Always, if the work began: with 0, 1 or 130.
        OptionError: If the options contradict each other, or as `plan` and `Recipe.build` do.
    """
    from lsm.batch.plan import plan

    if ray_cpus is not None and ray is None:
        raise OptionError("--ray-cpus is for --ray; without it torch takes all processors, or OMP_NUM_THREADS of them.")
    jobs, left_out = plan(names, naming, skip_existing=skip_existing, overwrite=overwrite)
    max_pixels = int(max_megapixels * 1e6)
    summary = _run(jobs, recipe, max_pixels) if ray is None else _run_on_ray(jobs, recipe, max_pixels, ray, ray_cpus)
    _print_summary(summary, jobs, left_out, "upscaled" if recipe.task == "sr" else "restored")
    raise typer.Exit(summary.exit_code)


def _run(jobs: Sequence[Job], recipe: Recipe, max_pixels: int) -> Summary:
    """Do the jobs in this process."""
    from lsm.batch.run import upscale_files
    from lsm.inference.provenance import described, processing_note

    upscaler = recipe.build()
    settings = described(recipe.weights, upscaler)
    with _progress(jobs, settings) as watcher:
        note = processing_note(settings, recipe.seed)
        return upscale_files(jobs, upscaler, note=note, max_pixels=max_pixels, watcher=watcher)


def _run_on_ray(jobs: Sequence[Job], recipe: Recipe, max_pixels: int, address: str, cpus: int | None) -> Summary:
    """Do the jobs on a cluster."""
    from lsm.batch import ray_cluster as cluster
    from lsm.inference.provenance import processing_note

    with cluster.connected(address):
        workers = cluster.Cluster(recipe, cpus)
        with _progress(jobs, workers.settings) as watcher:
            note = processing_note(workers.settings, recipe.seed)
            return workers.upscale_files(jobs, note=note, max_pixels=max_pixels, watcher=watcher)


@contextlib.contextmanager
def _progress(jobs: Sequence[Job], settings: str) -> Iterator[Watcher]:
    """Show a bar for the files and one for the tiles, with the time to go; plain lines where there is no terminal."""
    from rich.markup import escape

    from lsm.batch.run import Watcher
    from lsm.image.io import printable

    with progress_bars() as bars:
        bars.console.print(escape(settings))
        files = bars.add_task("files", total=len(jobs))
        tiles = bars.add_task("tiles", total=None)

        def started(job: Job) -> None:
            bars.reset(tiles, total=None, description=escape(printable(job.source.name)[-30:]))

        def tile(done: int, total: int) -> None:
            bars.update(tiles, completed=done, total=total)

        def finished(job: Job, text: str, good: bool) -> None:
            bars.console.print(escape(text) if good else f"[red]failed[/red]  {escape(text)}")
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
