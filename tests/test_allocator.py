"""Freed memory stays with a program that asks for it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is tuned")

PROGRAM = """
import resource, statistics, sys
import torch
from lsm.allocator import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
def work():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(2**22), torch.ones(2**23)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, statistics.median_low(work() for _ in range(23)))
"""


def run(what: str, **environment: str) -> tuple[bool, int]:
    """Say whether memory is kept, and how many pages 48 MiB fetch: the median of many rounds, as the heap may grow."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", PROGRAM, what]
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


def test_pages_are_fetched_once():
    kept, faults = run("keep")
    assert kept
    assert faults < 25
    assert run("leave")[1] > 500


def test_what_the_environment_says_goes_first():
    assert not run("keep", MALLOC_TRIM_THRESHOLD_="131072")[0]
