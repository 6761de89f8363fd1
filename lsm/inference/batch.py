"""Upscaling many files: one that fails does not stop the others."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lsm.errors import CheckpointError, InputError, LSMError
from lsm.inference.encoding import check_fits, format_of
from lsm.inference.image_io import MAX_PIXELS, printable, read_image, write_image
from lsm.inference.jobs import Job
from lsm.inference.metadata import with_processing_note
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
class Watcher:
    """Whom to tell how the run goes; each does nothing by default.

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
    watcher: Watcher | None = None,
) -> Summary:
    """Upscale files one after the other.

    Args:
        jobs: Inputs and outputs; folders of outputs are made.
        upscaler: Does the work.
        note: Written to the outputs' EXIF as the software that made them.
        max_pixels: Larger inputs fail, see `read_image`.
        watcher: Whom to tell.

    Returns:
        What became of them; Ctrl-C ends the run and returns too.

    Raises:
        CheckpointError: If the network gives no finite numbers, which no other file would change.
    """
    summary, watcher = Summary(), watcher or Watcher()
    for job in jobs:
        watcher.started(job)
        start = time.monotonic()
        try:
            height, width = _upscale_file(job, upscaler, note, max_pixels, watcher.tile)
        except KeyboardInterrupt:
            summary.interrupted = True
            break
        except CheckpointError:
            raise
        except Exception as error:
            reason = _reason(error, job)
            summary.failed.append((job, reason))
            watcher.finished(job, reason, False)
        else:
            summary.done.append(job)
            text = f"{printable(job.target)}  {width}×{height}, {time.monotonic() - start:.1f} s"
            watcher.finished(job, text, True)
    return summary


def _upscale_file(
    job: Job, upscaler: Upscaler, note: str | None, max_pixels: int, progress: Callable[[int, int], None]
) -> tuple[int, int]:
    """Upscale one file, and give the height and width written."""
    if not job.replace and os.path.exists(job.target):  # noqa: PTH110  (Path's raises on names too long)
        raise InputError(f"{printable(job.target)}: exists by now; another run has made it.")
    picture = read_image(job.source, max_pixels)
    height, width = upscaler.output_size(*picture.pixels.shape[:2])
    try:
        check_fits(format_of(job.target), height, width, picture.has_alpha and upscaler.alpha != "drop")
    except InputError as error:
        raise InputError(f"{printable(job.source)}: {error}") from error
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{printable(job.target.parent)}: cannot be made: {error.strerror}.") from error
    result = upscaler.upscale_picture(picture, progress)
    if note:
        result = result.with_exif(with_processing_note(result.exif, note))
    write_image(job.target, result, job.replace)
    return height, width


def _reason(error: Exception, job: Job) -> str:
    """Say in one line why a job failed."""
    if isinstance(error, LSMError):
        return str(error)
    log.debug("Unexpected failure at %s", printable(job.source), exc_info=error)
    if isinstance(error, MemoryError):
        return f"{printable(job.source)}: not enough memory for the result."
    return f"{printable(job.source)}: unexpected {type(error).__name__}: {' '.join(str(error).split())}"
