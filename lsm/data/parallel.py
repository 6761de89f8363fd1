"""The same work on many files, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from lsm.data.pool import worker_pool
from lsm.errors import OptionError

T = TypeVar("T")


def in_order(work: Callable[..., T], tasks: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Call a function with each task's arguments.

    Args:
        work: A function of a module, so that another process can find it.
        tasks: Arguments of each call.
        jobs: Processes; 1 for this one alone.

    Yields:
        Results in the order of the tasks, each as soon as it and all before it are there.

    Raises:
        OptionError: If there are fewer jobs than 1.
    """
    if jobs < 1:
        raise OptionError(f"--jobs {jobs}: at least 1.")
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield work(*task)
        return
    with worker_pool(min(jobs, len(tasks)), work.__module__) as pool:
        for future in [pool.submit(work, *task) for task in tasks]:
            yield future.result()
