"""Synthesise speech with espeak-ng and flite: a set to train on, and a set to test on, disjoint in words and voices.

    python scripts/make_speech.py train speech/train --count 600
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
WORDS = """about above after again against almost along already always among another answer anything apple around arrive
autumn balance basket because become before behind believe below between beyond bicycle bottle branch bridge bright
brother brought building butter button camera candle capital carpet castle caught certain chapter cheese chicken choice
church circle climate coffee college colour common compare concert condition consider copper corner cotton country
courage cousin cover create credit culture current curtain custom dance danger daughter decide deliver desert design
detail develop dinner direct discover distance doctor double dream during early earth eastern eleven engine enough
entire evening every example excite expect eye fabric factory famous farmer father feather fellow figure finger finish
fashion foreign forest forget forward freedom friend frozen further future garden gather general gentle giant glass
gold govern grape ground guess guitar hammer handle happen harbour health heavy history holiday honest horizon however
hundred husband iceberg imagine improve include indeed inside instead iron island jacket january journey judge jungle
justice kettle kitchen knowledge ladder language laugh leather lemon length lesson letter library liquid listen logic
lucky machine magnet manage marble market measure medical member memory message middle minute mirror modern moment
monkey month morning mother mountain muscle museum music mystery narrow nation nature needle neighbour nephew never
night noble nothing number object ocean offer office often onion open orange order other oxygen package paint palace
paper parent passage patient pattern peace pencil people pepper perfect person picture pillow planet plastic pleasure
pocket police popular powder prepare present pretty private problem promise protect public purple quality quarter
question quick quiet rabbit radio railway rather reason record region remember repeat report rescue result return
revolve ribbon right rough rubber sailor salad sample scatter school science season second secret sentence serious
service seven shadow shelter shoulder silver simple sister sixty society soldier special spirit spread square stomach
strange student study subject success sudden sugar summer support surface surprise switch symbol system teacher
temper thank theatre thirty thought thousand thunder ticket together tomorrow tongue travel treasure trouble trust
turtle twenty umbrella uncle under unite usual valley value vegetable village violin visit volume voyage waiter walnut
wander weather wedding welcome western whisper window winter wisdom woman wonder wooden yellow yesterday zebra""".split()


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
        for index in range(count):
            voice = TRAIN_VOICES[index % len(TRAIN_VOICES)]
            text = " ".join(rng.choice(WORDS, rng.integers(6, 12)))
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
