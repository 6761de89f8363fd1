"""How much memory there is, how much a network needs, and which tile fits."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

CPU_SHARE, CPU_LIMIT = 0.25, 2 << 30  # a larger tile is no faster, and image and canvas need memory too
GPU_SHARE = 0.7  # the rest is for fragmentation and the workspaces of convolutions
CGROUP = Path("/sys/fs/cgroup")


def available_memory(device: torch.device) -> int:
    """Return the bytes that can still be allocated on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch has cached but does not use is free for us too.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    limits = [_system_memory(), *_cgroup_memory()]
    with contextlib.suppress(ImportError, OSError, ValueError):
        limits.append(_address_space())
    return max(0, min(limits))


def memory_budget(device: torch.device) -> int:
    """Return the bytes that one tile may take: a share of what is available, on a CPU at most 2 GiB."""
    available = available_memory(device)
    return min(int(CPU_SHARE * available), CPU_LIMIT) if device.type == "cpu" else int(GPU_SHARE * available)


def choose_tile(bytes_per_pixel: float, budget: int, multiple: int) -> int:
    """Choose the largest tile that fits, a power of two times the window, so that it hardly varies between runs.

    Args:
        bytes_per_pixel: What the network needs for each low-resolution pixel.
        budget: Bytes that a tile may take.
        multiple: The network's window.

    Returns:
        The side of the tile, at least two windows.
    """
    tile = 2 * multiple
    while (2 * tile) ** 2 * bytes_per_pixel <= budget:
        tile *= 2
    return tile


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """Measure the bytes that a computation allocates at its peak, beyond what is allocated before it.

    Args:
        run: The computation; it is run once.
        device: Where it runs. On a CPU torch's own allocations are counted, not the scratch space of its libraries.

    Returns:
        Bytes.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type == "mps":
        torch.mps.empty_cache()
        before = torch.mps.driver_allocated_memory()
        run()
        torch.mps.synchronize()
        return torch.mps.driver_allocated_memory() - before  # the driver keeps what it was given at the peak
    return _cpu_peak(run)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that memory ran out; torch has several ways to say so."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    signs = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


def release(device: torch.device) -> None:
    """Return cached memory back to the device, so that a smaller attempt finds it whole."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _cpu_peak(run: Callable[[], object]) -> int:
    """Add up the allocations and releases that torch's profiler sees, also those inside custom operators."""
    from torch.profiler import ProfilerActivity, profile

    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it reports on stderr that it starts, stops and finds no GPU
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    live = peak = 0
    for event in profiler.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def _system_memory() -> int:
    """Return the bytes that the system has left for programs; where it does not say, half of all memory."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return _windows_memory()
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _windows_memory() -> int:
    """Ask Windows for the available physical memory."""
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in ("total", "available", "e", "f", "g", "h", "i")),
        )

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status.available)


def _cgroup_memory() -> list[int]:
    """Return what a container's limit leaves, in both versions of control groups; nothing without a limit."""
    left = []
    for folder, limit, used, cache in (
        (CGROUP, "memory.max", "memory.current", "inactive_file"),
        (CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with contextlib.suppress(OSError, ValueError, KeyError):  # no such file, or "max"
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            taken = int((folder / used).read_text()) - int(statistics[cache])
            left.append(int((folder / limit).read_text()) - taken)
    return left


def _address_space() -> int:
    """Return what `ulimit -v` leaves of the address space."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        raise ValueError("no limit")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return limit - pages * resource.getpagesize()
