"""Upscaling many files: one that fails does not stop the others, and the network need not wait for the disk.

While the network works on an image, one thread reads the next and another writes the one before. No more than these
three are in memory. Each image is computed by itself: in a batch its last bits would depend on its neighbours.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lsm.batch.plan import Job
from lsm.errors import CheckpointError, InputError, LSMError, one_line
from lsm.files import passing_name
from lsm.image.encode import check_fits
from lsm.image.formats import TIFF, format_of
from lsm.image.io import MAX_PIXELS, OutputExistsError, printable, read_image, read_pages, write_image, write_pages
from lsm.image.pixels import ImageData
from lsm.image.remote import AnyPath, exists
from lsm.inference.choose import Choice
from lsm.inference.options import LARGEST_SCALE
from lsm.inference.upscaler import Upscaler

log = logging.getLogger(__name__)

LONGEST_NAME = 255
"""Bytes of a file's name on the usual file systems."""


@dataclass
class Summary:
    """What became of the jobs.

    Attributes:
        done: Jobs whose output was written.
        failed: Jobs that failed, each with a line that says why.
        skipped: Jobs whose output another run has made meanwhile.
        animated: Jobs of whose input one frame of several was upscaled.
        interrupted: Whether Ctrl-C ended the run before its last job.
    """

    done: list[Job] = field(default_factory=list)
    failed: list[tuple[Job, str]] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    animated: list[Job] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some failed, 130 interrupted."""
        return 130 if self.interrupted else 1 if self.failed else 0


@dataclass(frozen=True)
class Callbacks:
    """Functions that are called as the run goes on; each does nothing by default.

    Attributes:
        started: Called with a job before it.
        tile: Called with tiles done and all tiles of the present job.
        finished: Called with a job, a line that says what was written or why it failed, and whether it succeeded.
    """

    started: Callable[[Job], None] = lambda job: None
    tile: Callable[[int, int], None] = lambda done, total: None
    finished: Callable[[Job, str, bool], None] = lambda job, text, good: None


def upscale_files(
    jobs: Sequence[Job],
    upscaler: Upscaler,
    *,
    note: str | None = None,
    max_pixels: int = MAX_PIXELS,
    callbacks: Callbacks | None = None,
) -> Summary:
    """Upscale files one after the other.

    Args:
        jobs: Inputs and outputs; folders of outputs are made.
        upscaler: Does the work.
        note: Written to the outputs' EXIF as the software that made them.
        max_pixels: Larger inputs fail, see `read_image`.
        callbacks: Called in the caller's thread.

    Returns:
        What became of them; Ctrl-C ends the run, after the file that is being written, and returns too.

    Raises:
        CheckpointError: If the network gives no finite numbers, which no other file would change.
    """
    run = _Run(upscaler, note, max_pixels, callbacks or Callbacks())
    with ThreadPoolExecutor(1, "lsm-read") as reader, ThreadPoolExecutor(1, "lsm-write") as writer:
        try:
            for job, reading in _ahead(reader, run.read, jobs):
                run.upscale(job, reading, writer)
            run.await_writing()
        except KeyboardInterrupt:
            run.summary.interrupted = True
            reader.shutdown(wait=False, cancel_futures=True)
            run.finish_after_interruption()
    return run.summary


def _ahead(
    reader: ThreadPoolExecutor, read: Callable[[Job], list[ImageData]], jobs: Sequence[Job]
) -> Iterator[tuple[Job, Future[list[ImageData]]]]:
    """Yield each job with its pages to come, while the next one is read."""
    waiting: deque[tuple[Job, Future[list[ImageData]]]] = deque()
    for job in jobs:
        waiting.append((job, reader.submit(read, job)))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting


@dataclass
class _Run:
    """The run over the jobs, and the one file that may be on its way to the disk."""

    upscaler: Upscaler
    note: str | None
    max_pixels: int
    callbacks: Callbacks
    summary: Summary = field(default_factory=Summary)
    writing: tuple[Job, Future[str]] | None = None

    def read(self, job: Job) -> list[ImageData]:
        """Read the pages of one file after a check that their results can be written; in the reading thread."""
        if not job.replace and exists(job.target):
            raise OutputExistsError(f"{printable(job.target)}: exists by now; another run has made it.")
        if isinstance(job.target, Path) and len(os.fsencode(job.target.name)) > LONGEST_NAME:
            raise _too_long(job.target)
        if job.output.pages == "all":
            images = list(read_pages(job.source, self.max_pixels))
        else:
            images = [read_image(job.source, self.max_pixels)]
        form = format_of(job.target)
        try:
            if len(images) > 1 and form is not TIFF:
                raise InputError(f"{form.name} holds one page, not {len(images)}; use `ext` tif.")
            for image in images:
                size = job.output.size(*self.upscaler.output_size(*image.pixels.shape[:2]))
                _check_factor(size, image)
                check_fits(form, *size, image.has_alpha and self.upscaler.options.alpha != "drop")
        except InputError as error:
            raise InputError(f"{printable(job.source)}: {error}") from error
        try:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{printable(job.target.parent)}: cannot be made: {error.strerror or error}.") from error
        _check_path(job.target)
        return images

    def upscale(self, job: Job, reading: Future[list[ImageData]], writer: ThreadPoolExecutor) -> None:
        """Upscale one image and hand it on to be written, once the one before has been."""
        self.callbacks.started(job)
        start = time.monotonic()
        try:
            results = self._upscale_pages(job, reading.result())
        except CheckpointError:
            raise
        except Exception as error:
            self._fail(job, error)
            return
        self.await_writing()
        self.writing = job, writer.submit(self._write, job, results, self.upscaler.choice, start)

    def _upscale_pages(self, job: Job, images: list[ImageData]) -> list[ImageData]:
        """Upscale the pages of a file, and bring them to what is asked for."""
        count, results = len(images), []
        for index, image in enumerate(images):

            def tile(done: int, total: int, index: int = index) -> None:
                self.callbacks.tile(index * total + done, count * total)

            results.append(job.output.apply(self.upscaler.upscale_image(image, tile), image))
        return results

    def _write(self, job: Job, results: list[ImageData], choice: Choice | None, start: float) -> str:
        """Write the results of one file and return lines that say so; in the writing thread."""
        chosen = f", taken for {choice.kind}: {choice.reason}" if choice else ""
        first = results[0]
        if self.note:
            results = [result.with_metadata(result.metadata.with_note(self.note + chosen)) for result in results]
        if len(results) == 1:
            lost = write_image(job.target, results[0], job.replace)
        else:
            lost = write_pages(job.target, results, len(results), job.replace)
        height, width = first.pixels.shape[:2]
        pages = f"{len(results)} pages, " if len(results) > 1 else ""
        if first.frames > len(results):
            self.summary.animated.append(job)
        said = f"{printable(job.target)}  {pages}{width}×{height}, {time.monotonic() - start:.1f} s{chosen}"
        return "\n  ".join([said, *([job.note] if job.note else []), *first.notes, *lost])

    def await_writing(self) -> None:
        """Wait for the file that is being written, if any, and note what became of it."""
        if self.writing is None:
            return
        job, future = self.writing
        try:
            text = future.result()
        except Exception as error:
            self._fail(job, error)
        else:
            self.summary.done.append(job)
            self.callbacks.finished(job, text, True)
        self.writing = None

    def finish_after_interruption(self) -> None:
        """Wait for the file that is being written, unless it is what was interrupted, or the user asks again."""
        try:
            self.await_writing()
        except KeyboardInterrupt:
            log.debug("Interrupted while a file was being written.")

    def _fail(self, job: Job, error: Exception) -> None:
        if job.skip and isinstance(error, OutputExistsError):
            self.summary.skipped.append(job)
            self.callbacks.finished(job, f"{error} Skipped.", True)
            return
        reason = _reason(error, job)
        self.summary.failed.append((job, reason))
        self.callbacks.finished(job, reason, False)


def _too_long(target: AnyPath) -> InputError:
    """Return the error of a name that no file can have."""
    return InputError(f"{printable(target)}: cannot be written: its name is too long.")


def _check_path(target: AnyPath) -> None:
    """Refuse a name in a folder that is there if the file system, whose limits differ, finds it too long."""
    if not isinstance(target, Path):
        return
    try:
        for path in (target, target.with_name(passing_name("part"))):  # the latter while it is written
            with contextlib.suppress(FileNotFoundError):
                path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _too_long(target) from error


def _check_factor(size: tuple[int, int], image: ImageData) -> None:
    """Refuse an output, (H, W), that is larger than its input by more than any scale may be."""
    height, width = image.pixels.shape[:2]
    if max(size[0] / height, size[1] / width) > LARGEST_SCALE:
        raise InputError(
            f"{width}×{height} would become {size[1]}×{size[0]}, which is more than {LARGEST_SCALE} times as large."
        )


def _reason(error: Exception, job: Job) -> str:
    """Return in one line why a job failed."""
    if isinstance(error, LSMError):
        return str(error)
    log.debug("Unexpected failure at %s", printable(job.source), exc_info=error)
    if isinstance(error, MemoryError):
        return f"{printable(job.source)}: not enough memory for the result."
    return f"{printable(job.source)}: unexpected {type(error).__name__}: {one_line(error)}"
