"""A function in a process of its own, which begins with torch and what trains imported.

A start of the interpreter with torch and basicsr takes seconds; what is tested here is the function. On Linux it is
forked from a server that has imported these and nothing else: no threads, no other test's state. A fork of the test's
own process would hold the locks of threads that it has not got, wandb's and OpenMP's among them.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

_METHOD = "forkserver" if sys.platform == "linux" else "spawn"  # the libraries of other systems do not bear a fork
_IMPORTED = ["torch", "lsm.cli", "lsm.training.launch"]


class OwnProcess:
    """A function that runs in another process, in a folder; what it writes to stdout and stderr goes to a file.

    Args:
        function: At the top of its module, which the process imports.
        arguments: Its arguments.
        folder: The folder that it runs in.
        environment: Added to this process' environment, as it is now.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *arguments: Any,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._output = folder / f"output-{time.monotonic_ns()}.txt"
        self._output.touch()
        usual = multiprocessing.get_start_method()
        call = (function, arguments, folder, {**os.environ, **(environment or {})}, usual, self._output)
        context = multiprocessing.get_context(_METHOD)
        context.set_forkserver_preload(_IMPORTED)
        self._process = context.Process(target=_call, args=call)
        self._process.start()
        self.pid = self._process.pid
        self.kill, self.terminate, self.is_alive = self._process.kill, self._process.terminate, self._process.is_alive

    @property
    def output(self) -> str:
        """What it has written until now."""
        return self._output.read_text(encoding="utf-8")

    def wait_for(self, text: str, timeout: float = 120) -> None:
        """Wait until it has written a text; fail if it ends before."""
        end = time.monotonic() + timeout
        while text not in self.output:
            assert time.monotonic() < end, f"{text!r} is not written:\n{self.output}"
            assert self.is_alive() or text in self.output, f"ended without {text!r}:\n{self.output}"
            time.sleep(0.002)

    def wait(self, timeout: float = 300) -> int:
        """Wait for its end and return its exit code."""
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, f"has not ended:\n{self.output}"
        return code


def run_in_process(function: Callable[..., object], *arguments: Any, folder: Path) -> str:
    """Run a function in a process of its own to a good end, and return what it wrote."""
    process = OwnProcess(function, *arguments, folder=folder)
    assert process.wait() == 0, process.output
    return process.output


def run_script(path: Path, *arguments: str) -> None:
    """Run a script as its command would, in this process."""
    sys.argv = [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as left:
        if left.code:
            raise RuntimeError(f"exit code {left.code}") from left


def torchrun(processes: int, path: Path, *arguments: str) -> None:
    """Run a script in several processes by torchrun's own agent, with its rendezvous and environment."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    where = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": "test"}
    config = LaunchConfig(1, 1, processes, max_restarts=0, start_method=_METHOD, **where)
    elastic_launch(config, run_script)(path, *arguments)


def _call(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    folder: Path,
    environment: dict[str, str],
    start_method: str,
    output: Path,
) -> None:
    file = output.open("w", buffering=1, encoding="utf-8")  # stays open: Python writes a traceback after this
    for number in (1, 2):
        os.dup2(file.fileno(), number)
    sys.stdout = sys.stderr = file
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    multiprocessing.set_start_method(start_method, force=True)  # of the loader's workers, say: what a user has
    torch.set_num_threads(1)
    function(*arguments)
