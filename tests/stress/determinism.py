"""What the same input gives in other processes, with other numbers of threads and jobs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

from stress.commands import LSM, fingerprint, images, training_options
from stress.networks import photographs
from stress.section import Section

THREADS = (1, 1, 2, 2, 4)


def run(section: Section) -> None:
    """Upscale and train in processes of 1, 2 and 4 threads, prepare and measure with 1 and 2 jobs."""
    from lsm.image.io import write_image

    source = section.folder / "photos"
    source.mkdir()
    for name, image in list(photographs(section.images).items())[:2]:
        write_image(source / f"{name}.png", image[:150, :200])
    small = images(section.folder / "small" / "Mine" / "HR", 5, 60)
    _threads(section, source, small)
    _jobs(section, small)


def _threads(section: Section, source: Path, small: Path) -> None:
    """Run a command in two processes of 1 and of 2 threads, and in one of 4."""
    file = section.folder / "options.yml"
    file.write_text(yaml.safe_dump(training_options(small, 12, 12)))
    upscale = ["upscale", str(source), "-n", "tiny-x2", "--device", "cpu", "-o", "out"]
    rows = []
    for name, arguments in {
        "upscale, whole": [*upscale, "-t", "0"],
        "upscale, tiles of 64": [*upscale, "-t", "64"],
        "upscale, bf16": [*upscale, "--precision", "bf16"],
        "train, 12 iterations": ["train", "-opt", str(file)],
    }.items():
        prints = [_run(section.folder / f"{name}-{n}", arguments, threads) for n, threads in enumerate(THREADS)]
        same = prints[0] == prints[1] and prints[2] == prints[3] and bool(prints[0])
        promise = f"{name}: two processes of equally many threads give the same bits"
        section.check(promise, same, f"{len(prints[0])} files")
        others = ["yes" if prints[index] == prints[0] else "no" for index in (2, 4)]
        rows.append([name, "yes" if same else "no", *others])
    section.table(
        "Same bits in two processes?", ["command", "same threads", "1 and 2 threads", "1 and 4 threads"], rows
    )


def _jobs(section: Section, small: Path) -> None:
    """Run a command with 1 and with 2 jobs."""
    prepare = ["data", "prepare", str(small), "out", "--scales", "2", "--jobs"]
    measure = ["benchmark", "--data", str(section.folder / "small"), "--sets", "Mine", "--scales", "2"]
    measure += ["--device", "cpu", "--models", "tiny,bicubic", "--report", "out", "--threads", "1", "--jobs"]
    for name, arguments in {"data prepare": prepare, "benchmark": measure}.items():
        one, two = (_run(section.folder / f"{name}-{jobs}", [*arguments, jobs], 1) for jobs in ("1", "2"))
        section.check(f"{name}: 1 and 2 jobs give the same bits", bool(one) and one == two, f"{len(one)} files")


def _run(folder: Path, arguments: list[str], threads: int) -> dict[str, str]:
    folder.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run([*LSM, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-1000:])
        return {}
    return fingerprint(folder)
