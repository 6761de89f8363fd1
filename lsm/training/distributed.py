"""Processes: one without a launcher, several under torchrun or SLURM, on GPUs (nccl) or CPUs (gloo)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed

from lsm.errors import LSMError, OptionError

_ENDED = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")
LAUNCHERS = ("none", "pytorch", "slurm")


def _adopt_slurm(port: int | None) -> None:
    """Translate SLURM's environment into torchrun's."""
    first = subprocess.run(
        ["scontrol", "show", "hostnames", os.environ["SLURM_NODELIST"]], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    os.environ["RANK"] = os.environ["SLURM_PROCID"]
    os.environ["WORLD_SIZE"] = os.environ["SLURM_NTASKS"]
    os.environ["LOCAL_RANK"] = os.environ["SLURM_LOCALID"]
    os.environ["MASTER_ADDR"] = first
    os.environ.setdefault("MASTER_PORT", str(port or 29500))


def start(launcher: str, num_gpu: int | str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Join the other processes, and choose this one's device.

    Args:
        launcher: `"none"`, `"pytorch"` (torchrun) or `"slurm"`.
        num_gpu: The config's: 0 for the CPU, else GPUs in all, `"auto"` for whatever there is.
        settings: The config's `dist_params`.

    Returns:
        `rank`, `world_size`, `dist`, and `num_gpu` as 0 for the CPU or 1 for a GPU to each process.

    Raises:
        OptionError: If the launcher or the GPUs are not what the options say.
    """
    if launcher == "slurm":
        if "SLURM_PROCID" not in os.environ:
            raise OptionError("The `launcher` slurm needs a start by srun: SLURM_PROCID is not set.")
        _adopt_slurm(settings["port"])
    if launcher != "none" and not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys():
        raise OptionError(
            "The `launcher` pytorch needs a start by torchrun, which sets RANK, WORLD_SIZE and LOCAL_RANK."
        )
    world_size = 1 if launcher == "none" else int(os.environ["WORLD_SIZE"])
    on_gpu = torch.cuda.is_available() if num_gpu == "auto" else num_gpu != 0
    if on_gpu and not torch.cuda.is_available():
        raise OptionError(f"num_gpu: {num_gpu}, but torch finds no CUDA device; 0 runs on the CPU.")
    if on_gpu and num_gpu not in ("auto", world_size):
        raise OptionError(
            f"num_gpu: {num_gpu}, but there is {world_size} process: start as many by torchrun "
            "with the `launcher` pytorch, or set num_gpu to 1."
        )
    local_rank = 0 if launcher == "none" else int(os.environ["LOCAL_RANK"])
    if on_gpu:
        torch.cuda.set_device(local_rank)
    if launcher != "none":
        default = "nccl" if on_gpu and distributed.is_nccl_available() else "gloo"
        distributed.init_process_group(settings["backend"] or default)
    rank = 0 if launcher == "none" else distributed.get_rank()
    return {"rank": rank, "world_size": world_size, "dist": launcher != "none", "num_gpu": int(on_gpu)}


@contextmanager
def report_ended_processes() -> Iterator[None]:
    """Turn the errors that a process meets when another one has ended into one that says so.

    Raises:
        LSMError: If another process has ended while this one waited for it.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _ENDED):
            raise
        raise LSMError(
            "Another process of this training has ended, so this one ends too; its own message says why. "
            "`auto_resume` goes on from the newest training state."
        ) from error


def stop() -> None:
    """Leave the other processes, if there were any."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
