"""What the headers of the embedded weights say of data and licences, and the record of their SHA-256.

    python scripts/weights.py     # headers, SHA256SUMS, and the digests in docs/models/measured.yml

Run it after weights were added or replaced. The numbers of the weights stay bit for bit.
"""

from __future__ import annotations

import json
from pathlib import Path

from lsm.cli import user_errors
from lsm.errors import CheckpointError
from lsm.files import atomic_file
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


def with_lines(content: bytes) -> bytes:
    """Return a safetensors file with the licence lines in its header, its numbers as they are."""
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH:end])
    lines = header["__metadata__"] | licence_lines(header["__metadata__"])
    header["__metadata__"] = dict(sorted(lines.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH, "little") + text + content[end:]


def main() -> None:
    """Write headers, digests and the record."""
    measured = MEASURED.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.safetensors")):
        old, content = sha256(path), path.read_bytes()
        changed = with_lines(content)
        if changed != content:
            with atomic_file(path) as file:
                file.write(changed)
        measured = measured.replace(old, sha256(path))
        print(path.name, sha256(path))
    for target, text in ((MEASURED, measured), (FOLDER / SUMS, write_sums())):
        with atomic_file(target) as file:
            file.write(text.encode())


if __name__ == "__main__":
    with user_errors():
        main()
