"""`lsm benchmark`: methods compared on test sets; `lsm benchmark diff`: two of its results compared."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsm.cli.bars import show_log
from lsm.errors import OptionError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from lsm.benchmark.results import ImageResult, Results
    from lsm.benchmark.settings import BenchmarkOptions
    from lsm.benchmark.statistics import Comparison, Interval

_ENDLESS = 10_000  # characters of a line that no table has

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the test sets, in any common layout.", show_default=False)
]
Sets = Annotated[str, typer.Option("--sets", help="Names of sets, by commas.")]
Scales = Annotated[str, typer.Option("--scales", "--scale", help="Scales, by commas.")]
Models = Annotated[
    str,
    typer.Option(
        "--models",
        help="Methods, by commas: bicubic, lanczos, embedded weights (tiny), weights files ({scale} in the name stands "
        "for each scale), of LSM or of what spandrel loads. LABEL=FILE names one.",
    ),
]
Report = Annotated[Path, typer.Option("--report", help="Folder of the results; a killed run goes on from it.")]
Protocol = Annotated[
    str,
    typer.Option("--protocol", help="classical-sr, or real-sr: JPEG, noise and the rest, see `lsm data prepare`."),
]
Channel = Annotated[str, typer.Option("--channel", help="y (luma, the field's custom) or rgb.")]
Lpips = Annotated[
    bool,
    typer.Option(
        "--lpips",
        help="Measure LPIPS too: extra perceptual; torchvision fetches AlexNet's weights if they are missing.",
    ),
]
Ensemble = Annotated[bool, typer.Option("--ensemble", help="Networks average 8 flips and turns; labels get a +.")]
Tile = Annotated[int, typer.Option("--tile", help="Side of tiles in low-resolution pixels; 0: whole images.")]
TileOverlap = Annotated[int, typer.Option("--tile-overlap", "--tile_overlap", help="Pixels that tiles share.")]
Precision = Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda (also cuda:1) or mps.")]
Semantics = Annotated[
    str | None,
    typer.Option("--recurrence", help="paper or official, for LSM weights.", show_default="what the weights say"),
]
Limit = Annotated[int | None, typer.Option("--limit", help="Only the first images of each set.", show_default=False)]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Processes; torchrun splits the images too.")]
Threads = Annotated[int | None, typer.Option("--threads", help="Threads of torch.", show_default="torch's own choice")]
Crops = Annotated[int, typer.Option("--crops", help="Images of each set and scale whose crops the report shows.")]
Visual = Annotated[Path | None, typer.Option("--visual", help="Save all results as PNG here.", show_default=False)]
PublishedRows = Annotated[str, typer.Option("--published", help="Published methods to show, by commas; all, or none.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Measure everything anew, also what is already done.")]


def benchmark(
    context: typer.Context,
    data: Data = None,
    sets: Sets = "Set5,Set14,B100,Urban100,Manga109",
    scales: Scales = "2,3,4",
    models: Models = "tiny,bicubic",
    report: Report = Path("results/benchmark"),
    protocol: Protocol = "classical-sr",
    channel: Channel = "y",
    lpips: Lpips = False,
    ensemble: Ensemble = False,
    tile: Tile = 0,
    tile_overlap: TileOverlap = 32,
    precision: Precision = "fp32",
    device: Device = "auto",
    recurrence: Semantics = None,
    limit: Limit = None,
    jobs: Jobs = 1,
    threads: Threads = None,
    crops: Crops = 8,
    visual: Visual = None,
    published: PublishedRows = "Bicubic,SRCNN,FSRCNN,VDSR,LSM-light",
    fresh: Fresh = False,
) -> None:
    """Measure PSNR, SSIM and, where asked, LPIPS by one frozen protocol; write tables, plots and a page to a folder."""
    if context.invoked_subcommand is not None:
        return
    if data is None:
        raise OptionError("--data is missing: the folder in which the test sets are; see `lsm data`.")
    import torch

    from lsm.benchmark.settings import BenchmarkOptions, Settings
    from lsm.data.datasets import parse_scales

    if threads is not None:
        if threads < 1:
            raise OptionError(f"--threads {threads}: at least 1.")
        torch.set_num_threads(threads)
    names = tuple(name.strip() for name in sets.split(",") if name.strip())
    if not names:
        raise OptionError("--sets names no set.")
    plan = BenchmarkOptions(
        data=data,
        sets=names,
        scales=tuple(parse_scales(scales)),
        methods=models,
        report=report,
        settings=Settings(
            channel=channel,  # type: ignore[arg-type]  # checked by Settings itself
            tile=tile,
            tile_overlap=tile_overlap,
            precision=precision,
            device=device,
            ensemble=ensemble,
            recurrence=recurrence,
            family=protocol,  # type: ignore[arg-type]  # likewise
            lpips=lpips,
        ),
        limit=limit,
        jobs=jobs,
        crops=crops,
        visual=visual,
        fresh=fresh,
    )
    _run(plan, published)


def diff(
    first: Annotated[Path, typer.Argument(help="results.json to compare with.")],
    second: Annotated[Path, typer.Argument(help="results.json that is compared.")],
    pair: Annotated[
        list[str], typer.Option("--pair", help="FIRST:SECOND, labels in the two files; may be repeated.")
    ] = [],  # noqa: B006  (typer reads it, nothing writes it)
    images: Annotated[bool, typer.Option("--images/--no-images", help="List every image.")] = True,
) -> None:
    """Compare two results image by image; differences are second minus first, with a 95% paired bootstrap."""
    from lsm.benchmark.results import read_json
    from lsm.benchmark.statistics import compare

    pairs = []
    for text in pair:
        labels = text.split(":")
        if len(labels) != 2:
            raise OptionError(f"--pair {text}: give two labels as FIRST:SECOND.")
        pairs.append((labels[0], labels[1]))
    comparisons = compare(read_json(first), read_json(second), pairs)
    console = _console()
    if images:
        for comparison in comparisons:
            console.print(_image_table(comparison))
    console.print(_summary_table(comparisons))
    left_out = sum(comparison.left_out for comparison in comparisons)
    if left_out:
        console.print(f"{left_out} images are left out: the two runs measured files of other bytes.")


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    group = typer.Typer(add_completion=False)
    group.callback(invoke_without_command=True)(benchmark)
    group.command()(diff)
    app.add_typer(group, name="benchmark")


def _console() -> Console:
    """Open the terminal; where the output goes elsewhere, lines are as long as they are."""
    from rich.console import Console

    return Console(soft_wrap=True) if sys.stdout.isatty() else Console(soft_wrap=True, width=_ENDLESS)


def _run(plan: BenchmarkOptions, published: str) -> None:
    """Run a benchmark with its table on the terminal; the first of several processes writes the report."""
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from lsm.benchmark.live import live_table
    from lsm.benchmark.processes import join_ranks
    from lsm.benchmark.published import select
    from lsm.benchmark.report import write_report
    from lsm.benchmark.runner import run

    rows_to_show = select(published, plan.scales)
    console = _console()
    bar = Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)
    task = bar.add_task("images", total=None)
    with join_ranks() as rank, show_log(console, logging.WARNING if rank.index else logging.INFO):
        if rank.index:
            run(plan, rank)
            return
        with Live(console=console, refresh_per_second=2, transient=True) as live:

            def show(rows: list[ImageResult], total: int) -> None:
                bar.update(task, completed=len(rows), total=total)
                table: RenderableType = live_table(rows, plan.settings.protocol, console.width)
                live.update(Group(table, bar) if console.is_terminal else "")

            results = run(plan, rank, show)
        _finish(results, console, write_report(results, rows_to_show, plan.report))


def _finish(results: Results, console: Console, files: list[Path]) -> None:
    """Print the final table, the protocol, and where the report is."""
    from lsm.benchmark import conditions
    from lsm.benchmark.live import live_table

    if results.settings.get("family") == "real-sr":
        console.print(conditions.markdown(results.rows), markup=False, highlight=False)
    else:
        console.print(live_table(results.rows, results.protocol, console.width))
    console.print(results.protocol_text, style="dim", highlight=False)
    console.print(f"Report: {', '.join(str(path) for path in files)}", highlight=False)


def _image_table(comparison: Comparison) -> RenderableType:
    from rich.table import Table

    title = f"{comparison.image_set} ×{comparison.scale}: {comparison.second} − {comparison.first}"
    table = Table("image", title=title, title_justify="left")
    columns = {"PSNR (dB)": [f"{value:+.3f}" for value in comparison.psnr]}
    columns["SSIM"] = [f"{value:+.4f}" for value in comparison.ssim]
    if comparison.lpips is not None:
        columns["LPIPS"] = [f"{value:+.4f}" for value in comparison.lpips]
    for name in columns:
        table.add_column(name, justify="right")
    for cells in zip(comparison.images, *columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _summary_table(comparisons: list[Comparison]) -> RenderableType:
    from rich.table import Table

    table = Table("set", "scale", "models", title="Mean difference and its 95% interval", title_justify="left")
    has_lpips = any(item.lpips_interval for item in comparisons)
    for name in ("images", "PSNR (dB)", "SSIM", *(["LPIPS"] if has_lpips else [])):
        table.add_column(name, justify="right")
    for item in comparisons:
        cells = [_interval(item.psnr_interval, 3), _interval(item.ssim_interval, 4)]
        if has_lpips:
            cells.append(_interval(item.lpips_interval, 4) if item.lpips_interval else "–")
        names = (item.image_set, f"×{item.scale}", f"{item.second} − {item.first}", str(len(item.images)))
        table.add_row(*names, *cells)
    table.caption = "~ the interval holds zero: no difference is shown" + (
        "; LPIPS is better where it is lower" if has_lpips else ""
    )
    return table


def _interval(interval: Interval, digits: int) -> str:
    """Write a mean difference with its interval, marked where that holds zero."""
    mean, low, high = (f"{value:+.{digits}f}" for value in (interval.mean, interval.low, interval.high))
    return f"{mean} [{low}, {high}]{'' if interval.excludes_zero else ' ~'}"
