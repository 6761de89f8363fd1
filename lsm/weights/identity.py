"""Which weights these are: hashes of files, and of networks whatever file they came from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn


def state_hash(model: nn.Module) -> str:
    """Hash a network's parameters, buffers and names, whatever file they came from.

    Args:
        model: The network, on any device.

    Returns:
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes() if values.numel() else b"")
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Hash a file: SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
