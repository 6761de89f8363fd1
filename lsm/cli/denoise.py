"""`lsm denoise` and `lsm denoise-train`: noise out of audio files, and the training of networks that do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


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


def denoise_train(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run.", show_default=False)],
    clean: Annotated[Path | None, typer.Option(help="Folder of clean audio.")] = None,
    noise: Annotated[Path | None, typer.Option(help="Folder of noise; synthetic noises by default.")] = None,
    noisy: Annotated[Path | None, typer.Option(help="Noisy files, named as the clean ones: no mixing.")] = None,
    snr: Annotated[str, typer.Option(help="Signal-to-noise ratios of the mixtures, in dB.")] = "0..20",
    synthetic: Annotated[float, typer.Option(help="Share of synthetic clean signals.")] = 0.0,
    simple: Annotated[float, typer.Option(help="Share of steady harmonics in white noise.")] = 0.0,
    network: Annotated[str, typer.Option(help="unet (waveform) or causal (can be streamed).")] = "unet",
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
            **{"out": out, "kind": network, "settings": arguments, "clean": clean, "noise": noise, "noisy": noisy},
            **{"snr": parse_range(snr), "synthetic": synthetic, "simple": simple, "seconds": seconds, "batch": batch},
            **{"epochs": epochs, "epoch_steps": epoch_steps, "rate_peak": lr, "patience": patience},
            **{"workers": workers, "seed": seed, "resume": resume, "tensorboard": tensorboard},
        )
    )
    print(f"Best validation SI-SDR {best:.2f} dB: {out / 'best.safetensors'}")


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    app.command("denoise-train")(denoise_train)
