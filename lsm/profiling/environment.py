"""What a figure was computed with: versions, hardware, commit and code."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import torch

from lsm.profiling.code_hash import code_hash
from lsm.version import installed_version

CHECKOUT = Path(__file__).resolve().parents[2]


def describe_environment(device: torch.device, *modules: str) -> dict[str, Any]:
    """Describe software and hardware.

    Args:
        device: Where networks run.
        *modules: Which compute the figures, e.g. `"lsm.benchmark.evaluate"`; none to leave the code's hash out.

    Returns:
        Plain values for a JSON file: versions, system, processor, GPU, threads, commit, hash of the code.
    """
    about = {
        "lsm": installed_version("lsm-sr"),
        "commit": _commit(),
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
    return about | {"code": code_hash(*modules)} if modules else about


def _commit() -> str | None:
    """Return the commit of a source checkout, with "-dirty" if files differ from it; none for an installed package."""
    if not (CHECKOUT / ".git").exists():
        return None
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    """Return the processor's name; Linux keeps the marketing name where Python's platform module does not look."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()
