"""What one machine of a cluster does: an actor that makes its own `Upscaler` and performs jobs, see `ray_cluster`."""

from __future__ import annotations

import dataclasses
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from lsm.batch.plan import Job
from lsm.batch.run import Callbacks, upscale_files
from lsm.errors import CheckpointError
from lsm.image.io import printable
from lsm.image.remote import exists
from lsm.inference.networks import open_network
from lsm.inference.options import UpscaleOptions
from lsm.inference.upscaler import Upscaler

Kind = Literal["done", "skipped", "failed", "fatal"]

ATTEMPTS = 3
"""How often an image is begun, if its worker is killed each time."""


@dataclass(frozen=True)
class Weights:
    """A file of weights that travels over the network, since it need not be on a worker's machine.

    Attributes:
        file: Its name.
        content: Its bytes.
        task: What its network must be for; anything if none.
    """

    file: str
    content: bytes
    task: str | None = None


@dataclass(frozen=True)
class JobSpec:
    """All that a worker needs to know.

    Attributes:
        jobs: All jobs; a row of the data set is the index of one.
        options: Of the upscaler.
        weights: Of the network.
        photo: Of the network for compressed or noisy images, where each image chooses.
        tile: Largest tile, which one worker has chosen for all.
        note: See `upscale_files`.
        max_pixels: See `upscale_files`.
        folder: Where relative names start; none if all files are in stores.
        token: A file that a worker must see, if any output is a local file.
        threads: Of torch, since results of other numbers of threads differ in the last bit.
    """

    jobs: Sequence[Job]
    options: UpscaleOptions
    weights: Weights
    photo: Weights | None
    tile: int
    note: str
    max_pixels: int
    folder: str | None
    token: Path | None
    threads: int


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        kind: "done"; "skipped", as another run has made its output; "failed"; or "fatal", which ends the whole run.
        text: A line that says what was written, or why not.
        animated: Whether one frame of several was upscaled.
    """

    kind: Kind
    text: str
    animated: bool = False


class AttemptCounter:
    """An actor that hands out the job spec, and counts how often each job was begun, since Ray would try for ever."""

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self.begun: Counter[int] = Counter()

    def spec(self) -> JobSpec:
        """Return what a worker needs to know."""
        return self._spec

    def begin(self, index: int) -> int:
        """Count and return the attempts at a job, this one included."""
        self.begun[index] += 1
        return self.begun[index]


class Worker:
    """An actor that does one job after the other; Ray Data calls it with rows."""

    def __init__(self, attempts: Any) -> None:
        import ray

        self.attempts = attempts
        try:
            self.spec: JobSpec = ray.get(attempts.spec.remote())
            torch.set_num_threads(self.spec.threads)
            self.upscaler = build_upscaler(self.spec.weights, self.spec.options, self.spec.photo)
            self.upscaler.max_tile = self.spec.tile
            self.problem = _go_to(self.spec.folder, self.spec.token)
        except Exception as error:  # Ray would begin anew for ever, and nobody would hear why
            self.problem = f"no upscaler on {socket.gethostname()}: {type(error).__name__}: {error}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do the job of a row and return what became of it: the index and an `Outcome`'s values."""
        outcome = self._do(row["index"])
        return {"index": row["index"], **dataclasses.asdict(outcome)}

    def _do(self, index: int) -> Outcome:
        import ray

        job = self.spec.jobs[index]
        if self.problem:
            return Outcome("failed", f"{printable(job.source)}: {self.problem}")
        if ray.get(self.attempts.begin.remote(index)) > ATTEMPTS:
            reason = f"its worker was killed {ATTEMPTS} times, perhaps for memory; try a smaller `tile`."
            return Outcome("failed", f"{printable(job.source)}: {reason}")
        try:
            return perform(job, self.upscaler, self.spec.note, self.spec.max_pixels)
        except CheckpointError as error:
            return Outcome("fatal", str(error))


def build_upscaler(weights: Weights, options: UpscaleOptions, photo: Weights | None = None) -> Upscaler:
    """Make an upscaler of weights that came over the network; `photo` as in `JobSpec`.

    Raises:
        CheckpointError: If the weights cannot be read.
        OptionError: On a wrong option, or if the network is for another task.
    """
    return Upscaler(_network(weights), options, photo=None if photo is None else _network(photo))


def _network(weights: Weights) -> nn.Module:
    """Load a network from weights in memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, weights.file)
        file.write_bytes(weights.content)
        return open_network(file, weights.task)


def perform(job: Job, upscaler: Upscaler, note: str, max_pixels: int) -> Outcome:
    """Do one job, perhaps again.

    A worker may have been killed after it wrote the output and before it said so. Then what is there is, byte for byte,
    what this one makes; anything else is of another run and stays.

    Args:
        job: Input and output.
        upscaler: Does the work.
        note: See `upscale_files`.
        max_pixels: See `upscale_files`.

    Returns:
        What became of it.

    Raises:
        CheckpointError: If the weights are damaged.
    """

    def upscale(job: Job) -> Outcome:
        said: list[str] = []
        callbacks = Callbacks(finished=lambda job, text, good: said.append(text))
        summary = upscale_files([job], upscaler, note=note, max_pixels=max_pixels, callbacks=callbacks)
        kind: Kind = "done" if summary.done else "skipped" if summary.skipped else "failed"
        return Outcome(kind, said[0], bool(summary.animated))

    if job.replace or not exists(job.target):
        return upscale(job)
    with tempfile.TemporaryDirectory() as folder:
        again = dataclasses.replace(job, target=Path(folder, job.target.name))
        outcome = upscale(again)
        if outcome.kind != "done":
            return outcome
        if again.target.read_bytes() == job.target.read_bytes():
            text = f"{printable(job.target)}  written before its worker was killed"
            return dataclasses.replace(outcome, text=text)
    return upscale(job)  # which says that another run has made it, and fails or is skipped


def _go_to(folder: str | None, token: Path | None) -> str | None:
    """Change to the user's working folder; return what is wrong if this machine sees other files."""
    if folder is None:
        return None
    place = f"the machine {socket.gethostname()} does not see the folder"
    try:
        os.chdir(folder)
    except OSError:
        return f"{place} {folder}; use a file system that all machines share, or URLs."
    if token is None or token.exists():
        return None
    return f"{place} {printable(token.parent)}; use one that all machines share, or a URL."
