"""Memory that a program has freed stays with it, so that its pages are not fetched and cleared anew for each tensor."""

from __future__ import annotations

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h

KEPT = 512 << 20
"""Bytes of freed memory that stay with the process."""

LARGEST = 256 << 20
"""Bytes of the largest block that can stay; larger ones go back to the system at once."""


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory for what is allocated next; for programs of their own, not for libraries.

    glibc gives large blocks back to the system as soon as they are freed. A network frees and allocates such blocks in
    every layer, and the system clears each page that it hands out: a third of the processor's time where tiles are
    large. The price is up to `KEPT` bytes that stay taken. Nothing is done where another C library is used, or where
    the environment already tunes glibc's thresholds.

    Returns:
        Whether the thresholds were set.
    """
    tuned = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    if tuned or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))


def release_freed_memory() -> None:
    """Release what `keep_freed_memory` kept, so that what is allocated next can be seen in the process's size."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
