"""`lsm denoise` and `lsm denoise-train`: noise out of audio files, and the training of networks that do it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsm.cli.bars import progress_bars

if TYPE_CHECKING:
    from lsm.audio.files import FileReport


def parse_range(text: str) -> tuple[float, float]:
    """Read a range such as 0..20.

    Raises:
        OptionError: If it is none.
    """
    from lsm.errors import OptionError

    low, dots, high = text.partition("..")
    try:
        return float(low), float(high if dots else low)
    except ValueError as error:
        raise OptionError(f"The SNR is a range in dB such as 0..20, not {text!r}.") from error


def denoise(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A WAV, FLAC, OGG, MP3, AIFF or M4A file, or a folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File or folder of the result.", show_default=False)],
    model: Annotated[
        str | None,
        typer.Option(
            "-n",
            "--model",
            help="Embedded weights, or a file.",
            show_default="denoiser-16k, with --stream denoiser-causal-16k",
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="In blocks of 20 ms, as live audio would come: needs a causal network.")
    ] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: all cores, but one with --stream.", min=0)] = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
) -> None:
    """Take the noise out of audio files of any rate, channels and length.

    Exit code: 0 all done, 1 some files of a folder failed (they are named), 2 wrong usage or input.
    """
    import torch

    from lsm.audio.checkpoint import load_denoiser
    from lsm.audio.files import denoise_file, denoise_files, plan_files
    from lsm.errors import OptionError
    from lsm.inference.device import pick_device

    if threads or stream:  # blocks of 20 ms are too little work to share
        torch.set_num_threads(threads or 1)
    name = model or ("denoiser-causal-16k" if stream else "denoiser-16k")
    denoiser = load_denoiser(name, pick_device(device))
    if stream and not denoiser.causal:
        raise OptionError(f"{name} looks ahead, so it cannot stream; leave --stream out, or take denoiser-causal-16k.")
    pairs = plan_files(source, output)
    block = 0.02 if stream else 2.0
    with _bar() as (advance, say):
        if source.is_dir():
            failed = denoise_files(
                pairs, denoiser, finished=say, block_seconds=block, overwrite=overwrite, progress=advance
            )
        else:
            pairs[0][1].parent.mkdir(parents=True, exist_ok=True)
            report = denoise_file(*pairs[0], denoiser, block_seconds=block, overwrite=overwrite, progress=advance)
            say(source, report)
            failed = []
    raise typer.Exit(1 if failed else 0)


@contextlib.contextmanager
def _bar() -> Iterator[tuple[Callable[[int, int], None], Callable[[Path, FileReport | Exception], None]]]:
    """Show a bar over the samples of the present file where there is a terminal, and a line for each file done."""
    from rich.markup import escape
    from rich.progress import TaskProgressColumn

    with progress_bars(count=TaskProgressColumn()) as bars:
        task = bars.add_task("samples", total=None)

        def advance(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        def say(source: Path, result: FileReport | Exception) -> None:
            if isinstance(result, Exception):
                bars.console.print(f"[red]skipped[/red]  {escape(str(result))}")
            else:
                bars.console.print(escape(_line(source, result)))

        yield advance, say


def _line(source: Path, report: FileReport) -> str:
    """Print what was done with a file."""
    parts = [f"{source}  {report.seconds:.2f} s, {report.rate} Hz, channels: {report.channels}"]
    parts.append(f"real-time factor {report.real_time_factor:.3f}")
    if report.latency is not None:
        parts.append(f"algorithmic latency {1000 * report.latency:.0f} ms")
    if report.cutoff is not None:
        parts.append(f"nothing above {report.cutoff / 1000:g} kHz is kept")
    if report.clipped:
        parts.append(f"{report.clipped} samples clipped")
    parts += report.notes
    return ", ".join(parts)


def denoise_train(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run.", show_default=False)],
    clean: Annotated[Path | None, typer.Option(help="Folder of clean audio.")] = None,
    noise: Annotated[Path | None, typer.Option(help="Folder of noise; synthetic noises by default.")] = None,
    noisy: Annotated[Path | None, typer.Option(help="Noisy files, named as the clean ones: no mixing.")] = None,
    snr: Annotated[str, typer.Option(help="Signal-to-noise ratios of the mixtures, in dB.")] = "0..20",
    synthetic: Annotated[float, typer.Option(help="Share of synthetic clean signals.")] = 0.0,
    simple: Annotated[float, typer.Option(help="Share of steady harmonics in white noise.")] = 0.0,
    network: Annotated[
        str, typer.Option(help="causal (can be streamed), bidirectional (whole signals) or unet (waveform).")
    ] = "unet",
    settings: Annotated[str, typer.Option(help='The network\'s arguments as JSON, e.g. {"d_model": 96}.')] = "{}",
    seconds: Annotated[float, typer.Option(help="Length of the training signals.", min=0.1)] = 2.0,
    batch: Annotated[int, typer.Option(help="Signals in a step.", min=1)] = 16,
    epochs: Annotated[int, typer.Option(help="Epochs at most.", min=1)] = 50,
    epoch_steps: Annotated[int, typer.Option("--epoch-steps", "--epoch_steps", help="Steps of an epoch.", min=1)] = 200,
    lr: Annotated[float, typer.Option(help="Highest learning rate.", min=0)] = 1e-3,
    patience: Annotated[int, typer.Option(help="Epochs without progress before it stops.", min=1)] = 10,
    workers: Annotated[int, typer.Option(help="Processes that mix signals.", min=0)] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as many as there are cores.", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="Of parameters and signals.", min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    init: Annotated[str | None, typer.Option(help="A denoiser to begin from, by its name or file.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard's files too.")] = False,
) -> None:
    """Train a denoiser for 16 kHz on files, on synthetic signals, or on both."""
    import torch

    from lsm.audio.training import TrainOptions, train
    from lsm.errors import OptionError

    try:
        arguments = json.loads(settings)
    except json.JSONDecodeError as error:
        raise OptionError(f"--settings is no JSON: {error}") from error
    if clean is None and not synthetic and not simple:
        synthetic, simple = 0.5, 0.5
    if threads:
        torch.set_num_threads(threads)
    best = train(
        TrainOptions(
            out=out,
            kind=network,
            settings=arguments,
            clean=clean,
            noise=noise,
            noisy=noisy,
            snr=parse_range(snr),
            synthetic=synthetic,
            simple=simple,
            seconds=seconds,
            batch=batch,
            epochs=epochs,
            epoch_steps=epoch_steps,
            rate_peak=lr,
            patience=patience,
            workers=workers,
            seed=seed,
            resume=resume,
            init=init,
            tensorboard=tensorboard,
        )
    )
    print(f"Best validation SI-SDR {best:.2f} dB: {out / 'best.safetensors'}")


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    app.command()(denoise)
    app.command("denoise-train")(denoise_train)
