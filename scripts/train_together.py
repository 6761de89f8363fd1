"""Run several trainings at once on one machine, for so many minutes; restartable.

python scripts/train_together.py options/train/fast_x[23]_gpu.yml --minutes 9 --pack experiments/states

A small network leaves most of a GPU idle: what its steps wait for is the processor that launches them. Trainings that
end before the time are done; the others save their state and stop, and the same command goes on with them.
"""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Annotated

import typer
import yaml

from lsm.cli import user_errors
from lsm.errors import InputError
from lsm.training import packed_state
from lsm.training.subprocesses import start_training


def train_together(
    options: Annotated[list[Path], typer.Argument(help="Option files, YAML.", show_default=False)],
    minutes: Annotated[float, typer.Option(min=0, help="When to stop what still runs.")] = 60.0,
    pack: Annotated[
        Path | None, typer.Option(help="Folder for each training's newest state, NAME.tar.xz.", show_default="none")
    ] = None,
) -> None:
    """Train by several option files at once; logs go to experiments/NAME, the rest of the output to NAME.log there."""
    names = [str(yaml.safe_load(path.read_text(encoding="utf-8"))["name"]) for path in options]
    if len(set(names)) < len(names):
        raise InputError(f"Two of the files have one name: {', '.join(sorted(names))}.")
    folder = Path("experiments")
    folder.mkdir(exist_ok=True)
    running = {name: start_training(path, folder / f"{name}.log") for name, path in zip(names, options, strict=True)}
    _wait(running, time.monotonic() + 60 * minutes)
    for name, process in running.items():
        print(f"{name}: {_last_line(folder / f'{name}.log')}")
        if pack is not None and process.returncode == 0:
            packed_state.pack(folder / name, pack)
    failed = [str(folder / f"{name}.log") for name, process in running.items() if process.returncode]
    if failed:
        raise InputError(f"{len(failed)} trainings failed: see {', '.join(failed)}.")


def _wait(running: dict[str, subprocess.Popen[bytes]], deadline: float) -> None:
    """Wait for all trainings; those that still run at the deadline are asked to save and stop."""
    while time.monotonic() < deadline and any(process.poll() is None for process in running.values()):
        time.sleep(0.5)
    for process in running.values():
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in running.values():
        process.wait()


def _last_line(log: Path) -> str:
    """Return how far a training says it is."""
    lines = log.read_text(encoding="utf-8").splitlines()
    return lines[-1].strip() if lines else "no output"


if __name__ == "__main__":
    with user_errors():
        typer.run(train_together)
