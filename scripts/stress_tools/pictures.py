"""Damaged pictures, thousands of them, through reading, upscaling and writing in a process that is watched."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from stress_tools.mutants import mutate, seeds
from stress_tools.networks import small_upscaler
from stress_tools.section import Section

PATIENCE = 10.0  # seconds a picture may take
MEMORY = 3 << 30  # bytes of address space that a picture may take beyond what the process has at its start
_SMALL = 10_000  # pixels up to which a damaged picture that can be read is also upscaled


def run(section: Section) -> None:
    """Try 20,000 damaged pictures."""
    rng, whole = section.random(), seeds()
    names = sorted(whole)
    source, output = section.folder / "mutants", section.folder / "out"
    source.mkdir()
    output.mkdir()
    paths, hashes = [], {}
    for number in range(section.times(20_000)):
        name = names[number % len(names)]
        path = source / f"{number:06d}-{name}"
        data = mutate(whole[name], whole[rng.choice(names)], rng)
        path.write_bytes(data)
        hashes[path] = hashlib.sha256(data).digest()
        paths.append(path)
    outcomes, faults = _watch(paths, output, section.folder / "stderr.txt")
    kinds = Counter(path.suffix[1:] for path in paths)
    tried = f"{len(paths)} mutants ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})"
    section.check("no crash, no hang over 10 s", not faults, f"{tried}; {faults[:5] if faults else 'none'}")
    wrong = [text for kind, text in outcomes if kind == "wrong"]
    counts = Counter(kind for kind, _ in outcomes)
    section.check("each is read, or refused in one line that names it", not wrong, f"{dict(counts)}; {wrong[:5]}")
    touched = [path.name for path in paths if hashlib.sha256(path.read_bytes()).digest() != hashes[path]]
    section.check("no original is touched", not touched, f"{len(paths)} SHA-256 compared; {touched[:5]}")
    litter = [path.name for path in output.iterdir() if path.name.startswith(".")]
    section.check(
        "no half-written output", not litter and not faults, f"{len(list(output.iterdir()))} outputs, all whole"
    )
    noise = (section.folder / "stderr.txt").read_text(errors="replace").splitlines()
    section.check("no traceback", not any("Traceback" in line for line in noise), f"{len(noise)} lines on stderr")


def _watch(paths: list[Path], output: Path, stderr: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Work through pictures in a process; start another where it dies or goes silent for too long."""
    context = multiprocessing.get_context("spawn")
    outcomes: list[tuple[str, str]] = []
    faults: list[str] = []
    done = 0
    while done < len(paths):
        here, there = context.Pipe()
        worker = context.Process(target=_work, args=(there, paths[done:], output, stderr))
        worker.start()
        there.close()
        try:
            assert here.poll(120), "the worker does not start"
            here.recv()
            while done < len(paths):
                if not here.poll(PATIENCE):
                    faults.append(f"{paths[done].name}: hangs")
                    break
                outcomes.append(here.recv())
                done += 1
        except EOFError:
            worker.join()
            faults.append(f"{paths[done].name}: the process died with {worker.exitcode}")
        worker.kill()
        worker.join()
        done = len(outcomes) + len(faults)
    return outcomes, faults


def _work(pipe: Connection, paths: list[Path], output: Path, stderr: Path) -> None:
    """Report for each picture ("read" | "refused" | "wrong", text)."""
    os.dup2(os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    upscaler = small_upscaler()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    pipe.send(("ready", ""))
    for path in paths:
        pipe.send(try_one(path, output / path.name, upscaler))


def try_one(path: Path, target: Path, upscaler: object) -> tuple[str, str]:
    """Read a picture as `lsm upscale` does, upscale it if it is small, and look at what is left.

    Args:
        path: The damaged picture.
        target: Where its result goes.
        upscaler: An `lsm.Upscaler`.

    Returns:
        "read", "refused" or "wrong", and the reason given or what is wrong.
    """
    from lsm.errors import InputError
    from lsm.inference.batch import upscale_files
    from lsm.inference.image_io import read_image
    from lsm.inference.jobs import Job

    try:
        height, width = read_image(path).pixels.shape[:2]
    except InputError as error:
        text = str(error)
        good = "\n" not in text and path.name in text
        return ("refused" if good else "wrong"), text
    except BaseException as error:  # what must not happen
        return "wrong", f"{path.name}: {type(error).__name__}: {error}"
    if height * width > _SMALL:
        return "read", ""
    summary = upscale_files([Job(path, target)], upscaler)  # type: ignore[arg-type]
    if summary.failed:
        reason = summary.failed[0][1]
        return ("wrong" if "unexpected" in reason or target.exists() else "refused"), reason
    result = read_image(target).pixels.shape[:2]
    return ("read" if result == (2 * height, 2 * width) else "wrong"), f"{path.name}: {result} of {(height, width)}"
