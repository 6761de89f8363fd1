"""Freed memory stays with a program that asks for it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from lsm.allocator import keep_freed_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is tuned")

PROGRAM = """
import resource, statistics
import torch
from lsm.allocator import keep_freed_memory

def median_of_faults():
    return statistics.median_low(work() for _ in range(23))

def work():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(2**22), torch.ones(2**23)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(median_of_faults(), keep_freed_memory(), median_of_faults())
"""


def test_pages_are_fetched_once():
    """How many pages 48 MiB fetch, before and after: the median of many rounds, as the heap may grow."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    before, kept, after = done.stdout.split()
    assert kept == "True"
    assert int(before) > 500 and int(after) < 25


@pytest.mark.parametrize(
    ("name", "text"), [("MALLOC_TRIM_THRESHOLD_", "131072"), ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=7")]
)
def test_what_the_environment_says_goes_first(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    monkeypatch.setattr("ctypes.CDLL", lambda *arguments: pytest.fail("glibc is tuned"))
    assert not keep_freed_memory()
