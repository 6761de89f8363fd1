"""`lsm export torch`: a network as a saved program of torch, which runs without the network's modules."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import torch

from lsm.arch import Network
from lsm.export.network import exportable, trace
from lsm.files import atomic_file
from lsm.scan.torch_version import require_exporter


def export_program(model: Network, path: str | Path, about: Mapping[str, str] | None = None) -> int:
    """Write a network with `torch.export.save`: (1, 3, H, W) in [0, 1] → (1, 3, rH, rW), H and W at least 2.

    With `fast`, whose tokens have sides of two pixels, they are at least 3.

    `torch.export.load` reads it after `import lsm.scan`, which registers the operator of the scan; `.module()` of the
    result is called as the network is.

    Args:
        model: The network; it stays as it is.
        path: Where, usually `.pt2`; replaced if it exists.
        about: Lines of text that the file carries as `extra_files`.

    Returns:
        Bytes written.

    Raises:
        OptionError: If the network cannot be exported, or torch is too old.
    """
    require_exporter("A saved program")
    content = io.BytesIO()
    torch.export.save(trace(exportable(model)), content, extra_files=dict(about or {}))
    with atomic_file(Path(path)) as file:
        file.write(content.getvalue())
    return len(content.getvalue())
