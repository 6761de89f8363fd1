"""Much work in one run: thousands of small images, and one that is very large."""

from __future__ import annotations

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from stress.networks import small_upscaler
from stress.section import Section


def run(section: Section) -> None:
    """Upscale 5,000 images of 16x16 in one run, and one of up to 100 megapixels."""
    _many(section, section.times(5000))
    sides = [2500, 5000, 10_000] if section.effort >= 1 else [1250, 2500]
    rows = [_large(section.folder, side) for side in sides]
    section.table(
        "One image by 2 with a network of 16 channels and 2 blocks, in automatic tiles on one thread",
        [
            "megapixels",
            "tiles",
            "seconds",
            "peak memory (MB)",
            "pixels in and out (MB)",
            "memory at 1/4, 1/2, 3/4 (MB)",
        ],
        rows,
    )
    peaks = [float(row[3]) - float(row[4]) for row in rows]
    section.check(
        "beyond the pixels themselves, memory does not grow with the image by more than the encoder's copy",
        all(peak < peaks[0] + 1.1 * float(row[4]) for peak, row in zip(peaks, rows, strict=True)),
        f"{', '.join(f'{peak:.0f}' for peak in peaks)} MB at {', '.join(row[0] for row in rows)} megapixels",
    )


def _many(section: Section, count: int) -> None:
    from lsm.batch.plan import Naming, plan
    from lsm.batch.run import Callbacks, upscale_files
    from lsm.image.io import write_image

    source = section.folder / "small"
    source.mkdir()
    rng = np.random.default_rng(section.seed)
    for number in range(count):
        height, width = rng.integers(8, 20, 2)
        write_image(source / f"{number}.png", rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    jobs, _ = plan([str(source)], Naming(section.folder / "out"))
    memory: list[float] = []
    callbacks = Callbacks(finished=lambda job, text, good: memory.append(resident()))
    summary = upscale_files(jobs, small_upscaler(), note="stress", callbacks=callbacks)
    first = count // 5  # until then caches fill
    slope = float(np.polyfit(np.arange(first, count), memory[first:], 1)[0]) * 1000
    outputs = len(list((section.folder / "out").iterdir()))
    growth = f"{memory[first]:.0f} MB after {first}, {memory[-1]:.0f} MB after {count}, {slope:+.2f} MB per 1,000"
    section.check(f"{count} images: none is skipped", len(summary.done) == outputs == count, f"{outputs} outputs")
    section.check(f"{count} images: memory is flat (under 2 MB per 1,000)", slope < 2, growth)


def resident() -> float:
    """Return this process's memory in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _large(folder: Path, side: int) -> list[str]:
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_upscale, args=(there, folder, side))
    process.start()
    there.close()
    result: list[str] = here.recv()
    process.join()
    return result


def _upscale(pipe: Connection, folder: Path, side: int) -> None:
    """Read, upscale and write an image, and send a row of the table."""
    from lsm.image.io import read_image, write_image

    pattern = np.random.default_rng(0).integers(0, 256, (250, 250, 3), dtype=np.uint8)
    write_image(folder / "large.bmp", np.tile(pattern, (side // 250, side // 250, 1)))
    upscaler = small_upscaler()
    upscaler(pattern)
    memory: list[float] = []
    start = time.monotonic()
    image = read_image(folder / "large.bmp")
    result = upscaler.upscale_image(image, lambda done, total: memory.append(resident()))
    write_image(folder / "upscaled.jpg", result)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    pixels = (image.pixels.nbytes + result.pixels.nbytes) / 1e6
    parts = ", ".join(f"{memory[len(memory) * part // 4]:.0f}" for part in (1, 2, 3))
    seconds = time.monotonic() - start
    pipe.send([f"{side**2 / 1e6:g}", str(len(memory)), f"{seconds:.0f}", f"{peak:.0f}", f"{pixels:.0f}", parts])
