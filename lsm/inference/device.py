"""Where a network runs, and with how many bits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from lsm.errors import OptionError, first_line, unknown_name

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str | torch.device) -> torch.device:
    """Return the device of a name, if it is there.

    Args:
        name: "auto" (the first of cuda, mps, cpu that is there), or as torch names it: "cpu", "cuda", "cuda:1", "mps".

    Raises:
        OptionError: If the name is unknown or the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = str(name).split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise OptionError(unknown_name("device", str(name), ["auto", "cpu", "cuda", "mps"]))
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"Device {str(name)!r} is not available here ({first_line(error)}); let `device` be auto or cpu."
        ) from error
    return device


def check_precision(name: str, fixed: str | None = None) -> str:
    """Return the precision to compute in.

    Args:
        name: The one asked for, of `PRECISIONS`.
        fixed: That of a network which cannot compute in another.

    Raises:
        OptionError: If there is none of that name, or the network cannot compute in it. "fp32", the default, leaves the
            choice to such a network.
    """
    if name not in PRECISIONS:
        raise OptionError(unknown_name("precision", name, PRECISIONS))
    if fixed is not None and name not in ("fp32", fixed):
        raise OptionError(f"The network is in {fixed} as it was exported; leave out `precision` {name}.")
    return fixed or name


@contextlib.contextmanager
def set_precision(device: torch.device, precision: str) -> Iterator[None]:
    """Run a block without gradients, in a precision, with convolutions that give the same bits each time.

    Full precision means it: the shortened float32 of convolutions on newer GPUs (TF32) is off inside.

    Args:
        device: Where the block computes.
        precision: "fp32", or "bf16" or "fp16" by autocast, which leaves norms, softmax and scan in float32.
    """
    autocast = torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "fp32")
    repeatable = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), repeatable, autocast:
        yield


@contextlib.contextmanager
def fix_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block with torch's random numbers started from a seed, and put its generators back after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        if device.type == "cpu":
            # torch.manual_seed also writes down a stack trace for each kind of device that is absent: 1 ms.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        yield
