"""Measure denoisers on synthetic signals and on speech in coloured noise, and draw a spectrogram.

    python scripts/make_speech.py test speech/test
    python benchmarks/denoise.py --speech speech/test --image docs/denoiser.png

Synthetic: 200 signals of 2 s of the simple task, seeded, in no training set. Speech: each file of the folder in white,
pink or brown Gaussian noise in turn, at 0, 5 and 10 dB over the whole file. How the numbers are computed:
`lsm.audio.metrics.PROTOCOL`. Where pystoi or pesq is absent, its column says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import torch
import typer
from torch import Tensor

from lsm.audio import metrics
from lsm.audio.checkpoint import EMBEDDED, Denoiser, load_denoiser
from lsm.audio.data import find_audio
from lsm.audio.inference import denoise_single
from lsm.audio.spectrogram import save_spectrograms
from lsm.audio.synthesis import mix, shaped_noise, simple_pair
from lsm.errors import InputError

RATE, SEED = 16000, 7_000_000


def synthetic_row(denoiser: Denoiser, count: int) -> str:
    """Measure the simple task: mean SNR before and after."""
    rng = np.random.default_rng(SEED)
    pairs = [[torch.from_numpy(item) for item in simple_pair(rng, 2 * RATE, RATE)] for _ in range(count)]
    before = [metrics.snr(noisy, clean).item() for noisy, clean in pairs]
    after = [metrics.snr(denoise_single(denoiser, noisy), clean).item() for noisy, clean in pairs]
    return f"{np.mean(before):.2f} | {np.mean(after):.2f} | {np.min(after):.2f}"


def noisy_speech(files: list[Path], level: float) -> list[tuple[Tensor, Tensor]]:
    """Mix each file with its noise at a level in dB: the noisy and the clean signal."""
    made = []
    for index, file in enumerate(files):
        clean, rate = soundfile.read(file, dtype="float32")
        if rate != RATE or clean.ndim != 1:
            raise InputError(f"{file} has {rate} Hz and shape {clean.shape}; the test set has 16 kHz and one channel.")
        noise = shaped_noise(np.random.default_rng((SEED, index)), len(clean), RATE, alpha=(0, 1, 2)[index % 3])
        made.append((torch.from_numpy(mix(clean, noise, level)), torch.from_numpy(clean)))
    return made


def mean_or_reason(score: Callable[..., float], signals: list[Tensor], cleans: list[Tensor]) -> str:
    """Average a score of a package that may be absent."""
    try:
        return f"{np.mean([score(s.numpy(), c.numpy(), RATE) for s, c in zip(signals, cleans, strict=True)]):.3f}"
    except InputError as error:
        return str(error)


def speech_row(noisy: list[Tensor], denoised: list[Tensor], clean: list[Tensor]) -> str:
    """Measure SI-SDR, STOI and PESQ before and after."""
    before, after = (
        np.mean([metrics.si_sdr(s, c).item() for s, c in zip(signals, clean, strict=True)])
        for signals in (noisy, denoised)
    )
    scores = [mean_or_reason(score, s, clean) for score in (metrics.stoi, metrics.pesq) for s in (noisy, denoised)]
    return f"{before:.2f} | {after:.2f} | {after - before:+.2f} | {' | '.join(scores)}"


def timing(denoiser: Denoiser) -> str:
    """Measure the real-time factor of 10 s at once, the least of five runs, and say the latency."""
    signal, times = torch.randn(10 * RATE), []
    for _ in range(5):
        start = time.perf_counter()
        denoise_single(denoiser, signal)
        times.append(time.perf_counter() - start)
    latency = "looks ahead" if denoiser.latency is None else f"{1000 * denoiser.latency:.0f} ms"
    return f"{min(times) / 10:.4f} | {latency}"


def main(
    speech: Annotated[Path, typer.Option(help="Folder of clean speech at 16 kHz.")],
    model: Annotated[
        list[str] | None, typer.Option(help="Embedded weights or files; may be repeated.", show_default="all embedded")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Where to draw one sentence at 5 dB.")] = None,
    count: Annotated[int, typer.Option(help="Synthetic signals.")] = 200,
    sentences: Annotated[int, typer.Option(help="Files of the folder, in the order of their names.")] = 40,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 2,
) -> None:
    """Print the tables, as Markdown."""
    torch.set_num_threads(threads)
    models = model or list(EMBEDDED)
    denoisers = {name: load_denoiser(name) for name in models}
    print(f"| model | parameters | real-time factor ({threads} threads) | latency |\n|{'---|' * 4}")
    for name, denoiser in denoisers.items():
        print(f"| {name} | {sum(p.numel() for p in denoiser.network.parameters())} | {timing(denoiser)} |", flush=True)
    print(f"\nSynthetic, {count} signals:\n\n| model | SNR noisy | SNR denoised | worst |\n|{'---|' * 4}")
    for name, denoiser in denoisers.items():
        print(f"| {name} | {synthetic_row(denoiser, count)} |", flush=True)
    files = find_audio(speech)[:sentences]
    print(f"\nSpeech, {len(files)} sentences:\n\n| model | noise at | SI-SDR noisy | denoised | gain | STOI noisy | "
          f"denoised | PESQ noisy | denoised |\n|{'---|' * 9}")  # fmt: skip
    for name, denoiser in denoisers.items():
        for level in (0, 5, 10):
            noisy, clean = map(list, zip(*noisy_speech(files, level), strict=True))
            denoised = [denoise_single(denoiser, signal) for signal in noisy]
            print(f"| {name} | {level} dB | {speech_row(noisy, denoised, clean)} |", flush=True)
            if image is not None and level == 5 and name == models[0]:
                shown = {"noisy, 5 dB": noisy[1], "denoised": denoised[1], "clean": clean[1]}
                save_spectrograms(image, shown, RATE)


if __name__ == "__main__":
    typer.run(main)
