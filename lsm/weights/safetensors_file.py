"""Writing a network as safetensors: the same network and header always give the same bytes, so the same checksum."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import nn

from lsm.files import atomic_file

_LENGTH, _ALIGNMENT = 8, 8  # bytes: the number that tells how long the header is, and what the numbers begin at


def write_safetensors(network: nn.Module, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write the state of a network, whole or not at all.

    Args:
        network: The network.
        path: Where; replaced if it exists.
        metadata: Lines of text for the header.
    """
    # Cloned, since the format has no tensors under two names, as a shared dictionary is.
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    content = _ordered(save(state, dict(metadata)))
    with atomic_file(Path(path)) as file:
        file.write(content)


def _ordered(content: bytes) -> bytes:
    """Sort the lines of the header, which the library writes in another order each time."""
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    header = json.loads(content[_LENGTH:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH, "little") + text + content[end:]
