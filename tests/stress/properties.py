"""The suite's own properties with a thousand examples each instead of a few: sizes, kinds, names, damaged bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from stress.section import Section

ROOT = Path(__file__).parents[2]
TESTS = (
    "tests/image/test_hostile_images.py",
    "tests/weights/test_hostile_weights.py",
    "tests/inference/test_tiling.py",
)


def run(section: Section) -> None:
    """Run the tests of hypothesis with the profile "stress"."""
    for name in TESTS:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
        command += ["--hypothesis-profile=stress", f"--hypothesis-seed={section.seed}"]
        done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-200:]
        passed = re.search(r"(\d+) passed", last)
        section.check(name, done.returncode == 0, f"{passed[0] if passed else last}; 1,000 examples a property")
