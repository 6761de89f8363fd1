"""`lsm upscale-video`: videos and numbered frames in, larger videos out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsm.cli import image_options as options
from lsm.cli.bars import progress_bars
from lsm.cli.upscale import upscale
from lsm.errors import OptionError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from lsm.video.convert import Report
    from lsm.video.source import Source

Input = Annotated[
    str, typer.Argument(metavar="IN", help="A video; or a folder, glob or pattern (frame_%04d.png) of numbered frames.")
]
Output = Annotated[
    Path,
    typer.Option(
        "-o", "--output", help="The video: .mp4, .mov, .mkv or .webm. For frames also a folder.", show_default=False
    ),
]
Fps = Annotated[str | None, typer.Option("--fps", help="Frames a second, for frames into a video: 25, 30000/1001.")]
CodecName = Annotated[
    str, typer.Option("--codec", help="libx264, libx265, libsvtav1, libvpx-vp9, ffv1 (lossless) or prores_ks.")
]
Crf = Annotated[
    int | None, typer.Option("--crf", help="Constant quality, less is better.", show_default="18 for libx264")
]
Preset = Annotated[str | None, typer.Option("--preset", help="The codec's effort.", show_default="medium for libx264")]
PixelFormat = Annotated[
    str | None,
    typer.Option(
        "--pixel-format", "--pixel_format", "--pix-fmt", "--pix_fmt",
        help="As FFmpeg names it.", show_default="yuv420p; deeper, and with alpha, as the video needs it",
    ),
]  # fmt: skip
Audio = Annotated[str, typer.Option("--audio", help="copy; aac, opus or flac to encode it anew; or drop.")]
ResizeToFirst = Annotated[
    bool,
    typer.Option(
        "--resize-to-first", "--resize_to_first", help="Resize frames whose size changes in mid-stream to the first's."
    ),
]
Steady = Annotated[
    bool,
    typer.Option("--steady", help="Blend what stands still with the frames before: noise flickers less."),
]
Restart = Annotated[bool, typer.Option("--restart", help="Begin anew instead of going on after an unfinished run.")]
Segment = Annotated[
    int, typer.Option("--segment", help="Frames that are lost at most when a run is stopped.", min=1, max=10000)
]


def upscale_video(
    source: Input,
    output: Output,
    model: options.Model = None,
    scale: options.Scale = None,
    fps: Fps = None,
    codec: CodecName = "libx264",
    crf: Crf = None,
    preset: Preset = None,
    pixel_format: PixelFormat = None,
    audio: Audio = "copy",
    resize_to_first: ResizeToFirst = False,
    steady: Steady = False,
    tile: options.Tile = "auto",
    tile_overlap: options.TileOverlap = 32,
    precision: options.Precision = "fp32",
    fp32: options.Fp32 = False,
    device: options.Device = "auto",
    ensemble: options.Ensemble = False,
    overwrite: options.Overwrite = False,
    restart: Restart = False,
    segment: Segment = 48,
    seed: options.Seed = 0,
) -> None:
    """Upscale a video frame by frame; audio, subtitles, times of frames and colours stay as they are.

    What the new file cannot hold is named before the work begins.

    A run that was stopped goes on when the same command is given again. Exit code: 0 done, 2 wrong usage or input,
    130 interrupted.
    """
    from lsm.video import require_av

    require_av()
    from lsm.inference.networks import open_network
    from lsm.inference.provenance import describe
    from lsm.inference.upscaler import Upscaler
    from lsm.video.containers import CONTAINERS, container_of
    from lsm.video.convert import upscale_video as convert
    from lsm.video.encoding import Encoding
    from lsm.video.sequence import find_frames, is_sequence
    from lsm.weights.resolve import resolve

    if is_sequence(source) and fps is None:
        if output.suffix.lower() in CONTAINERS:
            raise OptionError(f"How many frames a second? {output} needs --fps; a folder as output does not.")
        if steady:
            raise OptionError("--steady is for a video as output, for which frames need --fps.")
        upscale(
            list(map(str, find_frames(source))), output=str(output), model=model, scale=scale, suffix="", tile=tile,
            tile_overlap=tile_overlap, precision=precision, fp32=fp32, device=device, ensemble=ensemble,
            skip_existing=not overwrite, overwrite=overwrite, seed=seed,
        )  # fmt: skip
    how = options.upscale_options(
        fp32, tile=tile, tile_overlap=tile_overlap, precision=precision, device=device, ensemble=ensemble, scale=scale,
        seed=seed,
    )  # fmt: skip
    container_of(output)
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise OptionError(f"{output} is the input; give the result another name.")
    encoding = Encoding(codec, crf, preset, pixel_format)
    video = _open_source(source, fps, resize_to_first)
    weights, why = resolve(model, scale), ""
    if weights.photo and video.facts.lossy:  # one choice for all frames, so that the look does not change among them
        weights, why = resolve(weights.photo, scale), ", for compressed frames"
    upscaler = Upscaler(open_network(weights, "sr"), how)
    start = time.monotonic()
    with _progress(describe(weights.name, upscaler) + why) as progress:
        report = convert(
            video, output, upscaler, encoding,
            audio=audio, overwrite=overwrite, restart=restart, segment=segment, steady=steady,
            progress=progress,
        )  # fmt: skip
    _print_report(report, output, time.monotonic() - start)


def _open_source(source: str, fps: str | None, resize_to_first: bool) -> Source:
    """Open a video, or frames that --fps makes one of."""
    from lsm.video.file import VideoFile
    from lsm.video.sequence import ImageSequence, find_frames, is_sequence, parse_rate

    if is_sequence(source):
        return ImageSequence(find_frames(source), parse_rate(fps or ""))
    if fps is not None:
        raise OptionError("--fps is for folders of frames; a video keeps its times.")
    return VideoFile(Path(source), resize_to_first)


@contextlib.contextmanager
def _progress(settings: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for the frames with the time to go; on Ctrl-C say how to go on."""
    from rich.markup import escape

    with progress_bars("frames") as bars:
        bars.console.print(escape(settings))
        task: TaskID | None = None

        def advanced(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                if done:
                    bars.console.print(f"Going on after frame {done} of a run before.")
                task = bars.add_task("frames", total=total, completed=done)
            bars.update(task, completed=done, total=total)

        try:
            yield advanced
        except KeyboardInterrupt:
            bars.console.print("The finished segments are kept; the same command goes on with them.")
            raise


def _print_report(report: Report, output: Path, seconds: float) -> None:
    from lsm.image.io import printable

    made = (
        f"{report.frames} frames, {report.found} of them from a run before"
        if report.found
        else f"{report.frames} frames"
    )
    typer.echo(f"{printable(output)}  {report.width}×{report.height}, {made}, {seconds:.1f} s", err=True)


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command("upscale-video")(upscale_video)
