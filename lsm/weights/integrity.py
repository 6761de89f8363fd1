"""Whether the weights that came with the package are the ones that were released.

`SHA256SUMS` beside them, in the format of the program sha256sum, is written by scripts/weights.py. It finds files that
were damaged or replaced by mistake; whoever can change weights can change it too, which a release's attestations tell.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "embedded"
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Check:
    """What became of a file.

    Attributes:
        name: The file.
        good: Whether it is the recorded one.
        description: In words, with its SHA-256 if it is there.
    """

    name: str
    good: bool
    description: str


def verify_embedded(folder: Path = FOLDER) -> list[Check]:
    """Compare the files of a folder with its SHA256SUMS.

    Args:
        folder: Of weights; the package's by default.

    Returns:
        A check for each file that is recorded or there, by name.
    """
    sums = folder / SUMS
    recorded = read_sums(sums.read_text(encoding="utf-8")) if sums.is_file() else {}
    there = {path.name for path in folder.glob("*.safetensors")}
    return [_check(folder / name, recorded.get(name)) for name in sorted(there | recorded.keys())]


def _check(file: Path, recorded: str | None) -> Check:
    if not file.is_file():
        return Check(file.name, False, "missing")
    digest = sha256(file)
    if recorded is None:
        return Check(file.name, False, f"not recorded: {digest}")
    if digest != recorded:
        return Check(file.name, False, f"differs: {digest}, recorded {recorded}")
    return Check(file.name, True, f"as recorded: {digest}")


def read_sums(text: str) -> dict[str, str]:
    """Return the digests of a SHA256SUMS by name of file."""
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in text.splitlines() if line.strip())}


def write_sums(folder: Path = FOLDER) -> str:
    """Return the text of a SHA256SUMS for the weights of a folder."""
    return "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.safetensors")))


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with file.open("rb") as content:
        digest = hashlib.sha256()
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
