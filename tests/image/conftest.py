"""What the tests of image files share."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def exiftool():
    """Return a reader of a file's tags by exiftool, which shares no code with what wrote the file."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")

    def read(path: Path) -> dict[str, object]:
        run = subprocess.run(["exiftool", "-j", "-G1", os.fspath(path)], capture_output=True, text=True, check=True)
        return json.loads(run.stdout)[0]

    return read
