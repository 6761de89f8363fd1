"""Files of `torch.save`, read without trust: no code runs, and nothing grows beyond the file's own size."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lsm.errors import CheckpointError, first_line


def load_pth(path: Path) -> Any:
    """Read a file of `torch.save` onto the CPU.

    Args:
        path: The file.

    Returns:
        Tensors and plain values, nested.

    Raises:
        CheckpointError: In one line, if the file is missing or damaged, holds code, or would unpack to more than it is.
    """
    try:
        if zipfile.is_zipfile(path):
            _refuse_packed(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"Refused to read {path}: it is no plain weights file (truncated, of another kind, or it holds code)."
        ) from error
    except Exception as error:  # damaged files end in exceptions of every kind
        raise CheckpointError(f"Cannot read {path}: {first_line(error)}") from error
    _refuse_expanded(content, path)
    return content


def _refuse_packed(path: Path) -> None:
    """Refuse compressed records, which `torch.save` never writes and a bomb needs."""
    with zipfile.ZipFile(path) as archive:
        if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
            raise CheckpointError(f"Refused to read {path}: its records are compressed, which torch.save never does.")


def _refuse_expanded(content: Any, path: Path) -> None:
    """Refuse tensors that show few numbers many times: they would take any amount of memory when copied."""
    waiting, seen = [content], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Tensor):
            plain = item.layout is torch.strided and item.device.type == "cpu"
            if not plain or item.numel() * item.element_size() > item.untyped_storage().nbytes():
                raise CheckpointError(f"Refused to read {path}: it holds a tensor without all of its numbers.")
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            waiting.extend(item)
