"""What the commands show on the terminal while they work: progress bars, and what the package logs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn


@contextlib.contextmanager
def progress_bars(title: str = "{task.description}", count: ProgressColumn | None = None) -> Iterator[Progress]:
    """Show bars on stderr with the time to go while the block runs; where that is no terminal, none.

    Lines go above the bars through the `console` of what is yielded; plain lines where there is no terminal.

    Args:
        title: What stands before a bar, in rich's markup; `{task.description}` is what `add_task` is given.
        count: How far a task is; "3/10" by default.
    """
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    columns = (
        progress.TextColumn(title),
        progress.BarColumn(),
        count or progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    hidden = not console.is_terminal
    # Over rich's 30 seconds no pace is known where a tile takes longer, and the time to go would never be said.
    pace = float("inf")
    with progress.Progress(
        *columns, console=console, disable=hidden, transient=True, speed_estimate_period=pace
    ) as bars:
        yield bars


@contextlib.contextmanager
def show_log(console: Console, level: int = logging.INFO) -> Iterator[None]:
    """Print what the package logs from `level` on to `console` while the block runs; other loggers stay as they are."""
    from rich.logging import RichHandler

    logger = logging.getLogger("lsm")
    before = logger.level
    handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False)
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
