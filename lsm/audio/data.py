"""Noisy and clean signals to train on: mixed on the fly, synthesised, or read as pairs of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lsm.audio.libraries import load_library
from lsm.audio.synthesis import NOISES, SIGNALS, mix, simple_pair
from lsm.errors import InputError, OptionError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg")
"""Files that are looked for in folders."""

Pair = tuple[Tensor, Tensor]
"""A noisy signal and its clean one, each (1, T)."""


@dataclass(frozen=True)
class Recipe:
    """What a `MixtureDataset` mixes.

    Args:
        clean: Files of clean signals; with none of them, and no other share given, all signals are synthetic.
        noise: Files of noise; the noises of `synthesis.NOISES` if there are none.
        snr: Lowest and highest signal-to-noise ratio in dB; each mixture has its own, uniform between them.
        synthetic: Share of the clean signals that are drawn from `synthesis.SIGNALS`.
        simple: Share of the pairs that are of the simple task: harmonics of 200–800 Hz in white noise.

    Raises:
        OptionError: If a share or the range of SNR is impossible.
    """

    clean: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    snr: tuple[float, float] = (0.0, 20.0)
    synthetic: float = 0.0
    simple: float = 0.0

    def __post_init__(self) -> None:
        if min(self.synthetic, self.simple) < 0 or self.synthetic + self.simple > 1:
            raise OptionError("The shares of synthetic and simple signals must be at least 0 and add up to at most 1.")
        if self.snr[0] > self.snr[1]:
            raise OptionError(f"The SNR goes from low to high, as in 0..20, not from {self.snr[0]} to {self.snr[1]}.")
        if not self.clean and self.synthetic + self.simple < 1:
            raise OptionError("Without files of clean signals, the synthetic and simple shares must add up to 1.")


class MixtureDataset(Dataset[Pair]):
    """Pairs mixed when they are asked for; item i depends on the seed and on i alone.

    Args:
        recipe: What is mixed.
        length: T, samples of each pair.
        rate: Sampling rate in Hz; files of other rates are resampled.
        count: Items.
        seed: Of all random numbers.
    """

    def __init__(self, recipe: Recipe, length: int, rate: int, count: int, seed: int) -> None:
        self.recipe, self.length, self.rate, self.count, self.seed = recipe, length, rate, count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng((self.seed, index))
        kind = rng.random()
        if kind < self.recipe.simple:
            noisy, clean = simple_pair(rng, self.length, self.rate)
        else:
            synthetic = kind < self.recipe.simple + self.recipe.synthetic
            clean = self._synthetic(rng) if synthetic else self._from_file(rng, self.recipe.clean)
            noisy = mix(clean, self._noise(rng), rng.uniform(*self.recipe.snr))
        return torch.from_numpy(noisy)[None], torch.from_numpy(clean)[None]

    def _synthetic(self, rng: np.random.Generator) -> np.ndarray:
        return SIGNALS[rng.choice(list(SIGNALS))](rng, self.length, self.rate)

    def _from_file(self, rng: np.random.Generator, files: Sequence[Path]) -> np.ndarray:
        return read_crop(files[int(rng.integers(len(files)))], self.rate, self.length, rng)

    def _noise(self, rng: np.random.Generator) -> np.ndarray:
        if self.recipe.noise:
            return self._from_file(rng, self.recipe.noise)
        shares = [share for _, share in NOISES.values()]
        maker, _ = NOISES[rng.choice(list(NOISES), p=shares)]
        return maker(rng, self.length, self.rate)


class PairDataset(Dataset[Pair]):
    """Pairs of files, one of the same name in each of two folders.

    Args:
        noisy: Folder of noisy files.
        clean: Folder of clean files.
        length: T: longer pairs are cropped at a random place, shorter ones padded with zeros.
        rate: Sampling rate in Hz; files of other rates are resampled.
        seed: Of the places.

    Raises:
        InputError: If a folder has no audio, or a noisy file no clean one.
    """

    def __init__(self, noisy: Path, clean: Path, length: int, rate: int = 16000, seed: int = 0) -> None:
        self.files = [(file, clean / file.relative_to(noisy)) for file in find_audio(noisy)]
        missing = [str(pair[1]) for pair in self.files if not pair[1].is_file()]
        if missing:
            raise InputError(f"{len(missing)} noisy files have no clean file, the first {missing[0]}.")
        self.length, self.rate, self.seed = length, rate, seed

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Pair:
        # The same generator twice: the same place in both files.
        signals = [
            read_crop(file, self.rate, self.length, np.random.default_rng((self.seed, index)))
            for file in self.files[index]
        ]
        return torch.from_numpy(signals[0])[None], torch.from_numpy(signals[1])[None]


def find_audio(folder: Path, suffixes: Sequence[str] = AUDIO_SUFFIXES) -> list[Path]:
    """List the files of audio in a folder and its subfolders, sorted.

    Args:
        folder: Where.
        suffixes: Of the files, in lower case.

    Raises:
        InputError: If there is none.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not files:
        raise InputError(f"There is no audio in {folder} ({', '.join(suffixes)}).")
    return files


def read_crop(path: Path, rate: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Read a random piece of a file, one random channel of it; a shorter file is padded with zeros at the end.

    Args:
        path: The file; only the piece is decoded.
        rate: Wanted sampling rate in Hz.
        length: Wanted samples.
        rng: Random numbers.

    Returns:
        (length,), float32.

    Raises:
        InputError: If the file cannot be read.
    """
    soundfile, soxr = load_library("soundfile"), load_library("soxr")
    try:
        with soundfile.SoundFile(path) as file:
            wanted = -(-length * file.samplerate // rate)
            file.seek(int(rng.integers(max(1, file.frames - wanted + 1))))
            samples = file.read(wanted, dtype="float32", always_2d=True)
            source_rate = file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"Cannot read {path}: {error}") from error
    samples = samples[:, rng.integers(samples.shape[1])]
    if source_rate != rate:
        samples = soxr.resample(samples, source_rate, rate)
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def hold_out(files: Sequence[Path], every: int = 20) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Split files into those to train on and those to validate with: every 20th, at least one if there are two."""
    if len(files) < 2:
        return tuple(files), tuple(files)
    held = tuple(files[every - 1 :: every]) or (files[-1],)
    return tuple(file for file in files if file not in set(held)), held
