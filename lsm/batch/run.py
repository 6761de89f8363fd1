"""Upscaling many files: one that fails does not stop the others, and the network need not wait for the disk.

While the network works on an image, one thread reads the next and another writes the one before. No more than these
three are in memory. Each image is computed by itself: in a batch its last bits would depend on its neighbours.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from lsm.batch.plan import Job
from lsm.errors import CheckpointError, InputError, LSMError, one_line
from lsm.image.encode import check_fits
from lsm.image.formats import format_of
from lsm.image.io import MAX_PIXELS, printable, read_image, write_image
from lsm.image.pixels import ImageData
from lsm.image.remote import exists
from lsm.inference.upscaler import Upscaler

log = logging.getLogger(__name__)


@dataclass
class Summary:
    """What became of the jobs.

    Attributes:
        done: Jobs whose output was written.
        failed: Jobs that failed, each with a line that says why.
        interrupted: Whether Ctrl-C ended the run before its last job.
    """

    done: list[Job] = field(default_factory=list)
    failed: list[tuple[Job, str]] = field(default_factory=list)
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
    reader: ThreadPoolExecutor, read: Callable[[Job], ImageData], jobs: Sequence[Job]
) -> Iterator[tuple[Job, Future[ImageData]]]:
    """Yield each job with its image to come, while the next one is read."""
    waiting: deque[tuple[Job, Future[ImageData]]] = deque()
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

    def read(self, job: Job) -> ImageData:
        """Read one file after a check that its result can be written; in the reading thread."""
        if not job.replace and exists(job.target):
            raise InputError(f"{printable(job.target)}: exists by now; another run has made it.")
        image = read_image(job.source, self.max_pixels)
        size = self.upscaler.output_size(*image.pixels.shape[:2])
        try:
            check_fits(format_of(job.target), *size, image.has_alpha and self.upscaler.options.alpha != "drop")
        except InputError as error:
            raise InputError(f"{printable(job.source)}: {error}") from error
        try:
            job.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{printable(job.target.parent)}: cannot be made: {error.strerror or error}.") from error
        return image

    def upscale(self, job: Job, reading: Future[ImageData], writer: ThreadPoolExecutor) -> None:
        """Upscale one image and hand it on to be written, once the one before has been."""
        self.callbacks.started(job)
        start = time.monotonic()
        try:
            result = self.upscaler.upscale_image(reading.result(), self.callbacks.tile)
        except CheckpointError:
            raise
        except Exception as error:
            self._fail(job, error)
            return
        self.await_writing()
        self.writing = job, writer.submit(self._write, job, result, start)

    def _write(self, job: Job, result: ImageData, start: float) -> str:
        """Write one result and return a line that says so; in the writing thread."""
        if self.note:
            result = result.with_metadata(result.metadata.with_note(self.note))
        write_image(job.target, result, job.replace)
        height, width = result.pixels.shape[:2]
        return f"{printable(job.target)}  {width}×{height}, {time.monotonic() - start:.1f} s"

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
        reason = _reason(error, job)
        self.summary.failed.append((job, reason))
        self.callbacks.finished(job, reason, False)


def _reason(error: Exception, job: Job) -> str:
    """Return in one line why a job failed."""
    if isinstance(error, LSMError):
        return str(error)
    log.debug("Unexpected failure at %s", printable(job.source), exc_info=error)
    if isinstance(error, MemoryError):
        return f"{printable(job.source)}: not enough memory for the result."
    return f"{printable(job.source)}: unexpected {type(error).__name__}: {one_line(error)}"
