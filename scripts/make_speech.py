"""Synthesise speech with espeak-ng and flite: a set to train on, and a set to test on, disjoint in words and voices.

    python scripts/make_speech.py train speech/train --count 735
    python scripts/make_speech.py test speech/test

Both programs come with Debian (apt-get install espeak-ng flite). The training set says random words in the voices of
`TRAIN_VOICES`; the test set says the Harvard sentences of IEEE 269 in the voices of `TEST_VOICES`, 12 each. All files
are 16 kHz, 16 bits, one channel.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer

RATE = 16000
TRAIN_VOICES = [
    *(f"espeak-ng:{accent}+{variant}" for accent in ("en-us", "en-gb") for variant in ("m1", "m2", "m4", "f1", "f2")),
    *(f"espeak-ng:{language}+{variant}" for language in ("de", "es", "it", "pl") for variant in ("m5", "f4")),
    *(f"flite:{voice}" for voice in ("awb", "rms", "slt")),
]
TEST_VOICES = ["espeak-ng:en-us+m3", "espeak-ng:en-gb+f3", "espeak-ng:en-us+m7", "espeak-ng:en-gb+f5", "flite:kal16"]


def say(text: str, voice: str, speed: float = 1.0, pitch: int = 50) -> np.ndarray:
    """Speak a text.

    Args:
        text: What to say.
        voice: `program:voice`.
        speed: 1 is the program's own.
        pitch: 0 … 99; espeak-ng only.

    Returns:
        (T,) at 16 kHz, float32, between half a second of silence at each end and none.
    """
    program, name = voice.split(":")
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "speech.wav")
        if program == "flite":
            command = ["flite", "-voice", name, "--setf", f"duration_stretch={1 / speed:.3f}", "-t", text, "-o", file]
        else:
            command = ["espeak-ng", "-v", name, "-s", str(round(165 * speed)), "-p", str(pitch), "-w", file, text]
        subprocess.run(command, check=True, capture_output=True)
        samples, rate = soundfile.read(file, dtype="float32")
    return soxr.resample(samples, rate, RATE)


def main(
    kind: Annotated[str, typer.Argument(help="train or test.")],
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    count: Annotated[int, typer.Option(help="Utterances of the training set.")] = 600,
) -> None:
    """Write a set."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "train":
        rng = np.random.default_rng(1)
        words = (Path(__file__).parent / "speech_words.txt").read_text().split()
        for index in range(count):
            voice = TRAIN_VOICES[index % len(TRAIN_VOICES)]
            text = " ".join(rng.choice(words, rng.integers(6, 12)))
            samples = say(text, voice, rng.uniform(0.8, 1.25), int(rng.integers(20, 80)))
            name = f"{index:04d}_{voice.replace(':', '_')}.wav"
            soundfile.write(folder / name, samples * (0.7 / np.abs(samples).max()), RATE)
    elif kind == "test":
        sentences = (Path(__file__).parent / "harvard_sentences.txt").read_text().splitlines()
        for index, text in enumerate(sentences):
            voice = TEST_VOICES[index % len(TEST_VOICES)]
            samples = say(text, voice)
            name = f"{index:02d}_{voice.replace(':', '_')}.wav"
            soundfile.write(folder / name, samples * (0.7 / np.abs(samples).max()), RATE)
    else:
        raise typer.BadParameter("the first argument is train or test")


if __name__ == "__main__":
    typer.run(main)
