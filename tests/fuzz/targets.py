"""What is fuzzed: a function for each kind of file, which raises only if a promise of SECURITY.md is broken.

The functions need nothing of atheris, so that the tests replay crashers by them on any system.
"""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lsm.errors import LSMError

if TYPE_CHECKING:
    from lsm.audio.checkpoint import Denoiser

LONGEST_LINE = 5000
"""Characters of a message; longer ones flood a terminal."""
MOST_LINES = 51
"""Of a config's mistakes: 50, and one that says how many more there are."""
MOST_PIXELS = 1_000_000
MOST_SECONDS = 60
"""Of audio that is denoised whole; a longer file is read, not denoised."""


class BrokenPromise(Exception):
    """A file was refused, but not as the user was promised."""


def image(data: bytes) -> None:
    """Read an image as `lsm upscale` does, and write it again as PNG."""
    from lsm.image.encode import PNG, encode
    from lsm.image.io import read_image

    with _file(data, "image.png") as path, _refusal(path):
        read = read_image(path, MOST_PIXELS)
        if read.pixels.size == 0 or read.pixels.ndim != 3:
            raise BrokenPromise(f"An image of shape {read.pixels.shape} was read.")
        encode(read, PNG, io.BytesIO())


def checkpoint(data: bytes) -> None:
    """Load weights as `lsm upscale -n FILE` does: a `.pth` if the first byte is even, else safetensors.

    What follows the first byte is the file.
    """
    from lsm.weights import load_model

    name = "weights.pth" if not data or data[0] % 2 == 0 else "weights.safetensors"
    with _file(data[1:], name) as path, _refusal(path):
        load_model(path)


def options(data: bytes) -> None:
    """Check a config: as of `lsm train` if the first byte is even, else as of `lsm test`."""
    from lsm.training.options import read_options

    with _file(data[1:], "options.yml") as path, _refusal(path, MOST_LINES):
        read_options(path, training=not data or data[0] % 2 == 0)


def audio(data: bytes) -> None:
    """Denoise a sound of up to a minute by a small network, and look at the result."""
    import numpy as np
    import soundfile

    from lsm.audio.files import denoise_file

    with _file(data, "sound.wav") as path, _refusal(path):
        with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(path) as reader:
            if reader.frames > MOST_SECONDS * reader.samplerate or reader.channels > 8 or reader.samplerate > 200_000:
                return
        target = path.with_name("out.wav")
        denoise_file(path, target, _denoiser())
        if not np.isfinite(soundfile.read(target, dtype="float64")[0]).all():
            raise BrokenPromise("The result holds numbers that are not finite.")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "image": image,
    "checkpoint": checkpoint,
    "options": options,
    "audio": audio,
}
"""By the names of their folders of crashers."""


@contextlib.contextmanager
def _file(data: bytes, name: str) -> Iterator[Path]:
    """Write a file into a folder of its own, and see that nothing but outputs is left there."""
    with tempfile.TemporaryDirectory(prefix="lsm-fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path
        if path.read_bytes() != data:
            raise BrokenPromise("The input was changed.")
        litter = [each.name for each in path.parent.iterdir() if each.name.startswith(".")]
        if litter:
            raise BrokenPromise(f"Left behind: {litter}.")


@contextlib.contextmanager
def _refusal(path: Path, lines: int = 1) -> Iterator[None]:
    """Take errors for the user as they are promised: few short lines, and the file named; let others through."""
    try:
        yield
    except LSMError as error:
        told = str(error).splitlines()
        if len(told) > lines or max(map(len, told), default=0) > LONGEST_LINE:
            raise BrokenPromise(f"{len(told)} lines, the longest of {max(map(len, told))} characters.") from error
        if path.name not in str(error):
            raise BrokenPromise(f"The message does not name the file: {error}") from error


@functools.cache
def _denoiser() -> Denoiser:
    """Build an untrained waveform network that takes next to no time."""
    import torch

    from lsm.audio.checkpoint import Denoiser
    from lsm.audio.denoiser import UNetLRUAudio

    torch.manual_seed(0)
    torch.set_num_threads(1)
    return Denoiser(UNetLRUAudio(features=[2, 4]).eval())
