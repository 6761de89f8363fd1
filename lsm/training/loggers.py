"""TensorBoard's log of a training, and Weights & Biases following it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsm.training.compat import get_root_logger, init_tb_logger


@contextmanager
def open_log(options: Mapping[str, Any]) -> Iterator[Any]:
    """Open TensorBoard's log under `tb_logger`, where the options ask for it; nothing is sent without a named project.

    Args:
        options: The completed options.

    Yields:
        TensorBoard's writer; None where none is wanted, and in all processes but the first.
    """
    if not options["logger"]["use_tb_logger"] or options["rank"] != 0:
        yield None
        return
    settings = options["logger"]["wandb"]
    run = _start_wandb(options["name"], settings) if settings["project"] else None  # before the writer, to follow it
    writer = init_tb_logger(log_dir=str(Path("tb_logger") / options["name"]))
    try:
        yield writer
    finally:
        writer.close()
        if run is not None:
            run.finish()


def _start_wandb(name: str, settings: Mapping[str, Any]) -> Any:
    """Start a run of Weights & Biases, or go on with one; BasicSR's own way needs what wandb has no longer."""
    import wandb

    resume = {"id": settings["resume_id"], "resume": "allow"} if settings["resume_id"] else {}
    run = wandb.init(project=settings["project"], name=name, sync_tensorboard=True, **resume)
    get_root_logger().info("Weights & Biases: run %s of project %s.", run.id, settings["project"])
    return run
