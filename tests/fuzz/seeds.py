"""Whole files for the fuzzers to begin with, of every kind that a reader has a way of its own for.

python tests/fuzz/seeds.py image results/fuzz/image
"""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `fuzz` and `stress`, however this file is started

ROOT = Path(__file__).resolve().parents[2]
SOUNDS = (
    *(("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("AIFF", "PCM_16")),
    *(("FLAC", "PCM_16"), ("OGG", "VORBIS")),
)
"""Formats and sample formats that are written by any libsndfile."""


def write_seeds(target: str, folder: Path) -> int:
    """Write the seeds of a target, and the crashers on record; files that are there stay.

    Args:
        target: One of `fuzz.targets.TARGETS`.
        folder: Where; made if it is not there.

    Returns:
        The number of seeds.

    Raises:
        FileNotFoundError: If the checkout lacks the files that they are made of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"image": images, "checkpoint": checkpoints, "options": options, "audio": sounds}[target]()
    if not files:
        raise FileNotFoundError(f"There is nothing to begin with for {target}; fuzz from a whole checkout.")
    files += [path.read_bytes() for path in crashers(target)]
    for data in files:
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(files)


def crashers(target: str) -> list[Path]:
    """List the inputs that once broke a promise."""
    folder = Path(__file__).parent / "crashers" / target
    return sorted(path for path in folder.glob("*") if path.is_file())


def images() -> list[bytes]:
    """Return whole images of every format, depth and compression."""
    from stress.mutants import seeds

    return list(seeds().values())


def checkpoints() -> list[bytes]:
    """Return weights files, each after the byte that says its kind."""
    from stress.checkpoints import crafted, whole_files

    files = {**whole_files(), **crafted()}
    return [(b"\0" if name.endswith(".pth") else b"\1") + data for name, data in files.items()]


def options() -> list[bytes]:
    """Return the package's configs, each after the byte that says whether it trains or tests."""
    kinds = {"train": b"\0", "test": b"\1"}
    return [
        first + path.read_bytes() for kind, first in kinds.items() for path in sorted(ROOT.glob(f"options/{kind}/*"))
    ]


def sounds() -> list[bytes]:
    """Return short sounds of several formats, rates and channels."""
    import numpy as np
    import soundfile

    rng, files = np.random.default_rng(0), []
    for form, subtype in SOUNDS:
        for rate, channels in ((16_000, 1), (44_100, 2)):
            file = io.BytesIO()
            soundfile.write(file, rng.normal(0, 0.1, (400, channels)), rate, subtype, format=form)
            files.append(file.getvalue())
    return files


if __name__ == "__main__":
    print(write_seeds(sys.argv[1], Path(sys.argv[2])), "seeds")
