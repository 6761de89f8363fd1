"""A training in a process of its own, begun or gone on with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def start_training(option_file: Path, log: Path, threads: int | None = None) -> subprocess.Popen[bytes]:
    """Start `lsm train --auto_resume`.

    Args:
        option_file: YAML.
        log: What it says is appended here.
        threads: CPU threads, unless `OMP_NUM_THREADS` is set; torch's own number if None.

    Returns:
        The process, which runs.
    """
    command = [sys.executable, "-m", "lsm", "train", "-opt", str(option_file), "--auto_resume"]
    environment = ({} if threads is None else {"OMP_NUM_THREADS": str(threads)}) | os.environ
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, env=environment)
