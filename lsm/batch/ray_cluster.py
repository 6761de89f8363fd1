"""Upscaling many files on a Ray cluster: the jobs are a Ray Data set, `Upscaler`s are its pool of actors.

What a job is and how it is done stays in `plan` and `run`. Files are read and written by the machine that works on
them, so they lie in an object store or on a file system that all machines share. An image whose worker is killed is
done again; one that kills its worker each time is reported as failed, and takes no other with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from lsm.batch.plan import Job
from lsm.batch.ray_worker import AttemptCounter, JobSpec, Outcome, Weights, Worker, build_upscaler
from lsm.batch.run import Callbacks, Summary
from lsm.errors import CheckpointError, LSMError, OptionError, needs_extra, one_line
from lsm.files import passing_name
from lsm.image.io import printable
from lsm.inference.options import UpscaleOptions
from lsm.inference.provenance import describe
from lsm.weights.resolve import Source, embedded_path


@contextlib.contextmanager
def connect(address: str) -> Iterator[None]:
    """Join a Ray cluster while the block runs, unless this process has joined one already.

    Args:
        address: HOST:PORT; "auto" for the one that runs here or that `RAY_ADDRESS` names; "local" to start one.

    Raises:
        OptionError: If Ray is not installed or there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports to nobody
    with needs_extra("ray", "A cluster needs Ray"):
        import ray
        import ray.data
    for handler in logging.getLogger("ray.data").handlers:
        if handler.name == "console":  # Ray's own, which tells the plan; others' handlers are not ours to turn down
            handler.setLevel(logging.ERROR)
    joined = ray.is_initialized()
    if not joined:
        starting: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        try:
            ray.init(address=address, logging_level=logging.ERROR, **starting)
        except Exception as error:  # of any kind: a node that does not start in time is a plain one
            raise OptionError(
                f"`ray` {address}: no Ray cluster answers ({one_line(error)}). `ray start --head` starts one; "
                "`ray` local is one for this run, on this machine alone."
            ) from error
    try:
        yield
    finally:
        if not joined:
            ray.shutdown()


class Cluster:
    """Upscalers on the machines of the cluster that this process has joined.

    Args:
        source: Of their network.
        options: Theirs. The device "auto" means GPUs if the cluster has any.
        task: What the network must be for.
        threads: Processors that each takes on a CPU; torch's number of threads here by default.

    Attributes:
        settings: What makes the results, see `lsm.inference.provenance`; asked of one of the cluster's machines.

    Raises:
        OptionError: If the cluster has not got what is asked for, or an option is wrong.
        CheckpointError: If the weights cannot be read.
    """

    def __init__(self, source: Source, options: UpscaleOptions, task: str = "sr", threads: int | None = None) -> None:
        import ray

        device = str(options.device)
        if device.startswith("cuda:"):
            raise OptionError(f"`device` {device}: a cluster chooses among its GPUs; let it be cuda.")
        if threads is not None and threads < 1:
            raise OptionError(f"`ray_cpus` {threads}: at least 1.")
        if device == "auto" and ray.cluster_resources().get("GPU", 0) >= 1:
            options = options.replace(device="cuda")
        self.source, self.options = source, options
        self.threads = threads or torch.get_num_threads()
        self.needs = {"num_cpus": 1, "num_gpus": 1} if options.device == "cuda" else {"num_cpus": self.threads}
        self.size = sum(_fitting(node["Resources"], self.needs) for node in ray.nodes() if node["Alive"])
        if not self.size:
            wanted = "a GPU" if "num_gpus" in self.needs else f"{self.threads} processors (see `ray_cpus`)"
            raise OptionError(f"No machine of the cluster has {wanted} for an upscaler.")
        self.weights = _weights(source.fetch(), task)
        self.photo = _weights(embedded_path(source.photo), task) if source.photo else None
        self.settings, self._tile = self._try_out()

    def _try_out(self) -> tuple[str, int]:
        """Make one upscaler on the cluster: what is wrong shows at once, and all take the tile that it chooses."""
        import ray

        def try_out(name: str, weights: Weights, options: UpscaleOptions, threads: int) -> tuple[str, int]:
            torch.set_num_threads(threads)
            upscaler = build_upscaler(weights, options)
            return describe(name, upscaler), upscaler.max_tile

        task = ray.remote(**self.needs)(try_out)
        try:
            return ray.get(task.remote(self.source.label, self.weights, self.options, self.threads))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, LSMError):
                raise error.cause from error
            raise OptionError(
                f"No upscaler can be made on the cluster: {type(error.cause).__name__}: {one_line(error.cause)}. Is "
                "this version of lsm installed on its machines?"
            ) from error
        except ray.exceptions.RayError as error:
            raise OptionError(f"The cluster fails at a first task: {one_line(error, 300)}") from error

    def upscale_files(
        self, jobs: Sequence[Job], *, note: str, max_pixels: int, callbacks: Callbacks | None = None
    ) -> Summary:
        """Upscale files, in any order; the counterpart of `lsm.batch.run.upscale_files`.

        Args:
            jobs: Inputs and outputs.
            note: Written to the outputs' EXIF as the software that made them.
            max_pixels: Larger inputs fail, see `read_image`.
            callbacks: Called for finished jobs only.

        Returns:
            What became of them; Ctrl-C ends the run and returns too.

        Raises:
            CheckpointError: If the network gives no finite numbers, which no other file would change.
            OptionError: If an output folder cannot be made.
        """
        callbacks, summary = callbacks or Callbacks(), Summary()
        if not jobs:
            return summary
        missing = dict(enumerate(jobs))
        local = any(isinstance(path, Path) for job in jobs for path in (job.source, job.target))
        folder = str(Path.cwd()) if local else None
        with _token(jobs) as token:
            spec = JobSpec(
                jobs, self.options, self.weights, self.photo, self._tile, note, max_pixels, folder, token, self.threads
            )
            try:
                for row in self._rows(spec):
                    outcome = Outcome(row["kind"], row["text"], row["animated"])
                    if outcome.kind == "fatal":
                        raise CheckpointError(outcome.text)
                    _note(summary, callbacks, missing.pop(row["index"]), outcome)
            except KeyboardInterrupt:
                summary.interrupted = True
                return summary
        for job in missing.values():
            reason = f"{printable(job.source)}: its worker failed; Ray's logs say why."
            _note(summary, callbacks, job, Outcome("failed", reason))
        return summary

    def _rows(self, spec: JobSpec) -> Iterator[dict[str, Any]]:
        """Do the jobs by the pool of actors, one a task; a task whose actor is killed is done by the next one."""
        import ray
        from ray.data import ActorPoolStrategy, DataContext, from_items
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        context = DataContext.get_current().copy()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.max_errored_blocks = -1  # a job that fails in an unforeseen way leaves a gap, which the caller sees
        context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0  # as there is no queue, it is not exceeded
        count = len(spec.jobs)
        size = min(self.size, count)
        # Beside this process, so that it is lost only with the run itself.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        attempts = ray.remote(num_cpus=0, scheduling_strategy=here)(AttemptCounter).remote(spec)
        # No queues at the actors: images differ in size, and none should wait behind a large one.
        pool = ActorPoolStrategy(min_size=1, max_size=size, initial_size=size, max_tasks_in_flight_per_actor=1)
        with DataContext.current(context):
            rows = from_items([{"index": index} for index in range(count)], override_num_blocks=count)
            yield from rows.map(
                Worker,
                fn_constructor_args=(attempts,),
                compute=pool,
                **self.needs,
            ).iter_rows()


def _note(summary: Summary, callbacks: Callbacks, job: Job, outcome: Outcome) -> None:
    """Enter a finished job in the summary, and call back."""
    if outcome.kind == "failed":
        summary.failed.append((job, outcome.text))
    else:
        (summary.done if outcome.kind == "done" else summary.skipped).append(job)
    if outcome.animated:
        summary.animated.append(job)
    callbacks.finished(job, outcome.text, outcome.kind != "failed")


def _weights(file: Path, task: str | None) -> Weights:
    """Read a file of weights."""
    try:
        return Weights(file.name, file.read_bytes(), task)
    except OSError as error:
        raise CheckpointError(f"{printable(file)}: cannot be read: {error.strerror or error}.") from error


def _fitting(has: dict[str, float], needs: dict[str, int]) -> int:
    """Count the workers that a machine has room for."""
    keys = {"num_cpus": "CPU", "num_gpus": "GPU"}
    return min(int(has.get(keys[kind], 0) // wanted) for kind, wanted in needs.items())


@contextlib.contextmanager
def _token(jobs: Sequence[Job]) -> Iterator[Path | None]:
    """Leave a file where outputs go, for workers to see that they share the folder; nothing if all go to stores."""
    folders = [job.target.parent.absolute() for job in jobs if isinstance(job.target, Path)]
    if not folders:
        yield None
        return
    folder = Path(os.path.commonpath(folders))
    token = folder / passing_name("token")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token.touch()
    except OSError as error:
        raise OptionError(f"{printable(folder)}: cannot be written to: {error.strerror or error}.") from error
    try:
        yield token
    finally:
        token.unlink(missing_ok=True)
