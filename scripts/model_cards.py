"""Write a card for each embedded weight, docs/models/NAME.md, from its own metadata and docs/models/measured.yml.

python scripts/model_cards.py
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open
from weights import kind

from lsm.errors import InputError
from lsm.files import write_text

ROOT = Path(__file__).parent.parent
WEIGHTS = ROOT / "lsm" / "weights" / "embedded"
FOLDER = ROOT / "docs" / "models"
MEASURED = FOLDER / "measured.yml"


@dataclass(frozen=True)
class Kind:
    """What is true of all weights of one kind.

    Attributes:
        summary: What they do, with {scale}.
        command: How to use them, with {name}.
    """

    summary: str
    command: str


KINDS = {
    "clean": Kind("Upscales clean images ×{scale}.", "lsm upscale photo.png -o results -n {name}"),
    "photo": Kind(
        "Upscales photographs as found ×{scale}: JPEGs, noise.", "lsm upscale photo.jpg -o results -n {name}"
    ),
    "denoise": Kind(
        "Takes Gaussian noise of any strength out of images, grey or colour.",
        "lsm restore photo.jpg -o results --task denoise -n {name}",
    ),
    "jpeg": Kind(
        "Takes the traces of JPEG compression out of images.", "lsm restore photo.jpg -o results --task jpeg -n {name}"
    ),
    "audio": Kind("Takes noise out of speech and tones, at 16 kHz.", "lsm denoise noisy.wav -o clean.wav -n {name}"),
}


@dataclass(frozen=True)
class Weights:
    """An embedded file, as it describes itself.

    Attributes:
        name: Its name for `-n`.
        size: In bytes.
        sha256: Of the whole file.
        parameters: Numbers that were trained; buffers that are stored count too.
        metadata: The header's texts.
    """

    name: str
    size: int
    sha256: str
    parameters: int
    metadata: Mapping[str, str]

    @staticmethod
    def read(file: Path) -> Weights:
        """Read the header and hash the file."""
        with safe_open(str(file), "pt") as content:
            metadata = content.metadata() or {}
            parameters = sum(prod(content.get_slice(key).get_shape()) for key in content.keys())  # noqa: SIM118
        data = file.read_bytes()
        return Weights(file.stem, len(data), hashlib.sha256(data).hexdigest(), parameters, metadata)

    @property
    def kind(self) -> Kind:
        """What they do and how to run them."""
        return KINDS[kind(self.name, dict(self.metadata))]

    @property
    def settings(self) -> dict[str, Any]:
        """The network's configuration."""
        if "denoiser" in self.metadata:
            content = json.loads(self.metadata["denoiser"])
            return {"network": content["kind"], **content["settings"]}
        return json.loads(self.metadata["config"])

    @property
    def summary(self) -> str:
        """One sentence."""
        return self.kind.summary.format(scale=self.settings.get("upscale"))


def card(weights: Weights, measured: Mapping[str, Any] | None) -> str:
    """Write a card.

    Args:
        weights: The file.
        measured: Its entry of measured.yml; none if nothing was measured.

    Raises:
        InputError: If the numbers belong to another file.
    """
    metadata = weights.metadata
    steps = metadata.get("iterations") or metadata.get("steps")
    averaging = {"params_ema": "; the running average of the weights", "params": ""}[
        metadata.get("averaging", "params")
    ]
    made = f"\n\nMade by: `{metadata['command']}`" if "command" in metadata else ""
    return f"""# {weights.name}

{weights.summary}

```bash
{weights.kind.command.format(name=weights.name)}
```

- File: `lsm/weights/embedded/{weights.name}.safetensors`, {weights.size:,} bytes, {weights.parameters:,} numbers
- SHA-256: `{weights.sha256}`
- Licence of the weights: {metadata["licence"]}
- Data: {metadata.get("data_licences", "terms not on record")}
{_teachers(metadata)}- Openness: {metadata.get("openness", "none stated")}; see [licences](../licences.md)

## Intended use
For {metadata["intended_use"]}.

## Training
Data: {metadata["training_set"]}.

Steps: {int(steps or 0):,}{averaging}.{made}

## Measured
{_numbers(weights, measured)}

## Limits
{_sentence(metadata["limits"])}

## Network
```yaml
{yaml.safe_dump(weights.settings, default_flow_style=None, sort_keys=False).strip()}
```
"""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _teachers(metadata: Mapping[str, str]) -> str:
    """Return a line about the networks that were learned from; none if there were none."""
    return f"- Teachers: {metadata['teacher_licences']}\n" if "teacher_licences" in metadata else ""


def _numbers(weights: Weights, measured: Mapping[str, Any] | None) -> str:
    """Describe what was measured, how and where."""
    if measured is None:
        return "Nothing is on record yet."
    if measured["sha256"] != weights.sha256:
        raise InputError(f"{MEASURED}: the numbers of {weights.name} are of other weights; measure again.")
    made = f"`{measured['command'].strip()}`, at commit {measured['commit']}, {measured['machine']}."
    return f"Protocol: {measured['protocol']}.\n\n{_table(weights.name, measured)}\n\n{made}"


def _table(name: str, measured: Mapping[str, Any]) -> str:
    """Lay out the numbers, with those of what they are compared with, if any, above them."""
    columns = list(measured["results"])
    rows = [(key, measured[key]) for key in ("bicubic", "noisy", "JPEG") if key in measured]
    rows.append((name, measured["results"]))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    return "\n".join(lines + [f"| {key} | {' | '.join(row[column] for column in columns)} |" for key, row in rows])


def pages() -> dict[str, str]:
    """Write all cards, and the page that lists them; by name.

    Raises:
        InputError: If the numbers of one are of another file.
    """
    measured = yaml.safe_load(MEASURED.read_text(encoding="utf-8"))
    files = sorted(
        WEIGHTS.glob("*.safetensors"), key=lambda file: ("denoiser" in file.stem, "denoise" in file.stem, file.stem)
    )
    found = [Weights.read(file) for file in files]
    lines = [
        f"| [{w.name}]({w.name}.md) | {w.summary} | {w.parameters:,} | {w.size / 1e6:.2f} MB |"
        f" {w.metadata['licence']} |"
        for w in found
    ]
    index = "# Models\n\nWhat comes with the package, for `-n`; a card each.\n\n"
    index += "\n".join(["| Name | | Numbers | File | Licence |", "|---|---|--:|--:|---|", *lines]) + "\n"
    return {"index": index} | {weights.name: card(weights, measured.get(weights.name)) for weights in found}


def main() -> None:
    """Replace the cards."""
    for name, text in pages().items():
        write_text(FOLDER / f"{name}.md", text)


if __name__ == "__main__":
    main()
