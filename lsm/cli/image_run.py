"""A network over a user's images: bars while it works, then a summary and the exit code."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from lsm.cli.bars import progress_bars
from lsm.cli.flags import translate_options
from lsm.cli.pipes import pipe
from lsm.errors import OptionError

if TYPE_CHECKING:
    from lsm.batch.plan import Job, Naming
    from lsm.batch.run import Callbacks, Summary
    from lsm.cli.image_options import Batch
    from lsm.inference.options import UpscaleOptions
    from lsm.weights.resolve import Source


def run_over_files(
    names: Sequence[str], naming: Naming, source: Source, task: str, options: UpscaleOptions, batch: Batch
) -> NoReturn:
    """Run a network over images, with bars, a summary and the exit code; what `upscale` and `restore` share.

    Args:
        names: Files, folders, globs, URLs.
        naming: How results are named.
        source: Of the network.
        task: What the network must be for.
        options: Of the upscaler.
        batch: How the files are treated.

    Raises:
        typer.Exit: Always, if the work began: with 0, 1 or 130.
        OptionError: If the options contradict each other, or as `plan` and `open_network` do.
    """
    from lsm.batch.plan import count_others, plan

    if batch.ray_cpus is not None and batch.ray is None:
        raise OptionError("--ray-cpus is for --ray; without it torch takes all processors, or OMP_NUM_THREADS of them.")
    with pipe(names, naming) as piped:
        kept = {"skip_existing": batch.skip_existing, "overwrite": batch.overwrite}
        jobs, left_out = plan(piped.names, piped.naming, **kept, output=batch.output)
        piped.check(len(jobs))
        others = count_others(piped.names, piped.naming.output)
        run = _run if batch.ray is None else _run_on_ray
        summary = run(jobs, source, task, options, batch, piped.hide)
        piped.write(summary.done)
        _print_summary(summary, len(jobs), len(left_out), others, task, piped.hide)
    raise typer.Exit(summary.exit_code)


def _run(
    jobs: Sequence[Job], source: Source, task: str, options: UpscaleOptions, batch: Batch, hide: Callable[[str], str]
) -> Summary:
    """Do the jobs in this process."""
    from lsm.batch.run import upscale_files
    from lsm.inference.networks import open_network
    from lsm.inference.provenance import describe, processing_note
    from lsm.inference.upscaler import Upscaler

    upscaler = Upscaler(open_network(source, task), options, photo=source.photo)
    settings = describe(source.label, upscaler)
    with _progress(jobs, settings, hide) as callbacks:
        note = processing_note(settings, options.seed)
        return upscale_files(jobs, upscaler, note=note, max_pixels=batch.max_pixels, callbacks=callbacks)


def _run_on_ray(
    jobs: Sequence[Job], source: Source, task: str, options: UpscaleOptions, batch: Batch, hide: Callable[[str], str]
) -> Summary:
    """Do the jobs on a cluster."""
    from lsm.batch import ray_cluster
    from lsm.inference.provenance import processing_note

    assert batch.ray is not None
    with ray_cluster.connect(batch.ray):
        cluster = ray_cluster.Cluster(source, options, task, batch.ray_cpus)
        with _progress(jobs, cluster.settings, hide) as callbacks:
            note = processing_note(cluster.settings, options.seed)
            return cluster.upscale_files(jobs, note=note, max_pixels=batch.max_pixels, callbacks=callbacks)


@contextlib.contextmanager
def _progress(jobs: Sequence[Job], settings: str, hide: Callable[[str], str]) -> Iterator[Callbacks]:
    """Show a bar for the files and one for the tiles, with the time to go; plain lines where there is no terminal."""
    from rich.markup import escape

    from lsm.batch.run import Callbacks
    from lsm.image.io import printable

    with progress_bars() as bars:
        bars.console.print(escape(settings))
        files = bars.add_task("files", total=len(jobs))
        tiles = bars.add_task("tiles", total=None)
        begun = ended = 0

        def started(job: Job) -> None:
            nonlocal begun, tiles
            name = escape(printable(job.source.name))
            if not begun:  # the first tile of a large image may take a minute
                bars.console.print(f"begins with {name}")
            begun += 1
            bars.remove_task(tiles)  # a reset would keep the number of tiles
            tiles = bars.add_task(name[-30:], total=None)

        def tile(done: int, total: int) -> None:
            bars.update(tiles, completed=done, total=total)
            bars.update(files, completed=max(begun - 1 + done / total, ended))

        def finished(job: Job, text: str, good: bool) -> None:
            nonlocal ended
            text = hide(translate_options(text))
            bars.console.print(escape(text) if good else f"[red]failed[/red]  {escape(text)}")
            ended += 1
            bars.update(files, completed=max(begun - 1, ended))

        yield Callbacks(started, tile, finished)


def _print_summary(
    summary: Summary, jobs: int, left_out: int, others: Counter[str], task: str, hide: Callable[[str], str]
) -> None:
    """Print how many files were done, skipped and passed over, and name those that failed."""
    done = "upscaled" if task == "sr" else "restored"
    parts = [f"{len(summary.done)} of {jobs} {done}"]
    if skipped := left_out + len(summary.skipped):
        parts.append(f"{skipped} skipped, their results exist")
    if summary.failed:
        parts.append(f"{len(summary.failed)} failed")
    if summary.interrupted:
        parts.append("interrupted")
    if others:
        endings = ", ".join(f"{count} {ending}" for ending, count in sorted(others.items()))
        parts.append(f"left out, as they are no images: {endings}")
    typer.echo("; ".join(parts) + ".", err=True)
    if summary.animated:
        files = "1 file holds" if len(summary.animated) == 1 else f"{len(summary.animated)} files hold"
        typer.echo(f"{files} several frames, of which one was {done}; `lsm upscale-video` takes every frame.", err=True)
    for _, reason in summary.failed:
        typer.echo(f"  {hide(translate_options(reason))}", err=True)
