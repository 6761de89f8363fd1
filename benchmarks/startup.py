"""How long the command line takes until it answers, and how much memory: a process of its own for each command.

python benchmarks/startup.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Annotated

import typer

COMMANDS = ("--help", "--version", "models", "upscal", "upscale --help", "info tiny-x4 --no-memory")
CODE = """
import json, resource, sys, time
start = time.perf_counter()
sys.argv = ["lsm", *sys.argv[1:]]
try:
    from lsm.__main__ import main
    main()
except SystemExit:
    pass
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
print("\\n" + json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, "torch" in sys.modules]))
"""


def main(repeats: Annotated[int, typer.Option(help="Runs of each command; the median counts.", min=1)] = 5) -> None:
    """Print wall seconds after the interpreter's own start, its processor seconds, and the largest memory."""
    print("| command | s | CPU s | MiB | imports torch |\n|---|---|---|---|---|")
    for command in COMMANDS:
        rows = []
        for _ in range(repeats):
            done = subprocess.run(
                [sys.executable, "-c", CODE, *command.split()], capture_output=True, text=True, check=True
            )
            rows.append(json.loads(done.stdout.splitlines()[-1]))
        wall, busy, memory, _ = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| `lsm {command}` | {wall:.2f} | {busy:.2f} | {memory:.0f} | {'yes' if rows[0][3] else 'no'} |")


if __name__ == "__main__":
    typer.run(main)
