"""What a figure was computed with: versions, hardware, commit, and a hash of the code that decides it."""

from __future__ import annotations

import functools
import hashlib
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import torch

from lsm.version import installed_version

PACKAGE = Path(__file__).resolve().parents[1]
_DECISIVE = (
    *("scan", "sequence", "mixers", "arch", "weights", "inference"),
    *(f"benchmark/{name}.py" for name in ("baselines", "evaluate", "methods", "metrics", "resize")),
)


@functools.cache
def code_hash() -> str:
    """Hash the package's sources that a PSNR can depend on, so that results of other code are not taken for its own."""
    digest = hashlib.sha256()
    for name in _DECISIVE:
        path = PACKAGE / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{source.relative_to(PACKAGE).as_posix()}\n".encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()


def environment(device: torch.device) -> dict[str, Any]:
    """Describe software and hardware.

    Args:
        device: Where networks run.

    Returns:
        Plain values for a JSON file: versions, system, processor, GPU, threads, commit, code hash.
    """
    return {
        "lsm": installed_version("lsm-sr"),
        "commit": _commit(),
        "code": code_hash(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": installed_version("numpy"),
        "pillow": installed_version("pillow"),
        "opencv": installed_version("opencv-python"),
        "system": platform.platform(),
        "cpu": _processor(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    }


def _commit() -> str | None:
    """Return the commit of a source checkout, with "-dirty" if files differ from it; none for an installed package."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    """Name the processor; Linux keeps the marketing name where Python's platform module does not look."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()
