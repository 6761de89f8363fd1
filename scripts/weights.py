"""What the headers of the embedded weights say of use, limits, data and licences, and the record of their SHA-256.

    python scripts/weights.py     # headers, SHA256SUMS, and the digests in docs/models/measured.yml

Run it after weights were added or replaced. The numbers of the weights stay bit for bit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lsm.cli import user_errors
from lsm.errors import CheckpointError
from lsm.files import atomic_file, write_text
from lsm.weights.integrity import FOLDER, SUMS, sha256, write_sums

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "models" / "measured.yml"
_LENGTH, _ALIGNMENT = 8, 8  # bytes: the number that tells how long the header is, and what the numbers begin at

DATA = {
    "BSDS400": "BSDS500's train and test images: non-commercial research and education only, by their owners' page",
    "DIV2K": "DIV2K: academic research only, by its owners' page; images belong to their authors",
    "Flickr2K": "Flickr2K: no licence stated; images from Flickr under their authors' terms",
    "espeak-ng": "speech made for this project by espeak-ng (a GPL-3.0-or-later program) and flite (BSD-like)",
    "synthetic": "synthetic tones: made for this project",
}
"""Licences of training data, by a word that a header's `training_set` has if the set was used."""

TEACHERS = {
    "dctlsa": "DCTLSA (zengkun301/DCTLSA): Apache-2.0; the data that it was trained on are not stated",
}
"""Licences of networks that were learned from, by a word that a header's `training_set` or `teacher` has."""

OPENNESS = (
    "by our own reading: class II (open tooling) of the Model Openness Framework, and code, parameters and data "
    "information as OSAID 1.0 asks; the data are named, not shipped"
)


@dataclass(frozen=True)
class Purpose:
    """What weights of one kind are for.

    Attributes:
        use: What they do well.
        limits: What they do badly, or what was not tried.
    """

    use: str
    limits: str


PURPOSES = {
    "clean": Purpose(
        "clean images: lossless files, JPEGs of quality 95 and more, renderings; those made small by a good reduction "
        "(bicubic, antialiased)",
        "not for JPEGs below quality 75, noise, blur, or images shrunk without antialiasing, which are upscaled with "
        "their faults; pixel art loses its hard pixels, and thin lines on flat colour can turn darker; details are "
        "guessed, not recovered: do not identify people or read plates by them",
    ),
    "photo": Purpose(
        "photographs as found: JPEGs of quality 30 to 95, noise up to σ 15, slight blur, any program's reduction",
        "not for heavier damage; on clean images `fast` is sharper; pixel art loses its hard pixels; details are "
        "guessed, not recovered: do not identify people or read plates by them",
    ),
    "denoise": Purpose(
        "images with Gaussian noise, alike in all places and independent from pixel to pixel, σ 0 to 55 in 8 bits",
        "that of cameras after demosaicing and compression is another, as are JPEG's blocks; what is drowned in noise "
        "is smoothed or guessed, not recovered",
    ),
    "jpeg": Purpose(
        "JPEGs of quality 5 to 95 at their own size: blocks, ringing and lost colour detail",
        "not for noise or blur; what the compression has dropped is guessed, not recovered",
    ),
    "audio": Purpose(
        "recordings of one voice in steady or slowly changing noise, from 0 dB up",
        "trained on synthesised speech and tones only, and not measured on recordings of people; nothing above 8 kHz "
        "is kept; music, several voices at once, echo and clipping were not in the training data",
    ),
}
"""What headers say under `intended_use` and `limits`, by `kind`."""


def kind(name: str, header: dict[str, str]) -> str:
    """Return the key of `PURPOSES` for weights of a name and with a header."""
    if "denoiser" in header:
        return "audio"
    task = json.loads(header["config"]).get("task", "sr")
    if task != "sr":
        return str(task)
    return "photo" if name.startswith("photo-") else "clean"


def licence_lines(header: dict[str, str]) -> dict[str, str]:
    """Return the lines that a header must have, by what it says of its training.

    Raises:
        CheckpointError: If its training set is none that is known here.
    """
    told = f"{header.get('training_set', '')} {header.get('teacher', '')}"
    data = [text for word, text in DATA.items() if word in told]
    if not data:
        raise CheckpointError(f"Training on {told.strip()!r}: add its licence to scripts/weights.py.")
    teachers = [text for word, text in TEACHERS.items() if word in told.lower()]
    lines = {"licence": "Apache-2.0", "data_licences": "; ".join(data), "openness": OPENNESS}
    return lines | ({"teacher_licences": "; ".join(teachers)} if teachers else {})


def with_lines(name: str, content: bytes) -> bytes:
    """Return a safetensors file with the lines on use and licences in its header, its numbers as they are."""
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH:end])
    own = header["__metadata__"]
    purpose = PURPOSES[kind(name, own)]
    lines = own | licence_lines(own) | {"intended_use": purpose.use, "limits": purpose.limits}
    header["__metadata__"] = dict(sorted(lines.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH, "little") + text + content[end:]


def main() -> None:
    """Write headers, digests and the record."""
    measured = MEASURED.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.safetensors")):
        old, content = sha256(path), path.read_bytes()
        changed = with_lines(path.stem, content)
        if changed != content:
            with atomic_file(path) as file:
                file.write(changed)
        measured = measured.replace(old, sha256(path))
        print(path.name, sha256(path))
    write_text(MEASURED, measured)
    write_text(FOLDER / SUMS, write_sums())


if __name__ == "__main__":
    with user_errors():
        main()
