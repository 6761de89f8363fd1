"""The small files of every kind that the tests of reading and writing share."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def exiftool():
    """Return a reader of one tag of a file by exiftool, which shares no code with what wrote the file."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")

    def read(path: Path, tag: str) -> str:
        run = subprocess.run(["exiftool", "-s3", f"-{tag}", os.fspath(path)], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    return read
