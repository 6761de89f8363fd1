"""Damaged images, thousands of them, through reading, upscaling and writing in a process that is watched."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from pathlib import Path

from stress.mutants import mutate, seeds
from stress.networks import small_upscaler
from stress.section import Section
from stress.watch import Outcome, watched

_SMALL = 10_000  # pixels up to which a damaged image that can be read is also upscaled


def run(section: Section) -> None:
    """Try 20,000 damaged images."""
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
    outcomes, faults = watched(try_one, paths, section.folder / "stderr.txt")
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


def try_one(path: Path) -> Outcome:
    """Read an image as `lsm upscale` does, upscale it if it is small, and look at what is left.

    Args:
        path: The damaged image; the result goes to the folder `out` beside its own.

    Returns:
        "read", "refused" or "wrong", and the reason given or what is wrong.
    """
    from lsm.batch.plan import Job
    from lsm.batch.run import upscale_files
    from lsm.errors import InputError
    from lsm.image.io import read_image

    target = path.parents[1] / "out" / path.name
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
    summary = upscale_files([Job(path, target)], _upscaler())
    if summary.failed:
        reason = summary.failed[0][1]
        return ("wrong" if "unexpected" in reason or target.exists() else "refused"), reason
    result = read_image(target).pixels.shape[:2]
    return ("read" if result == (2 * height, 2 * width) else "wrong"), f"{path.name}: {result} of {(height, width)}"


_upscaler = functools.cache(small_upscaler)
