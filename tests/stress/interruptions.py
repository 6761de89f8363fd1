"""Every long command, interrupted in every way: what is there is whole, and the same command finishes the rest."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from stress.commands import COMMANDS, Command, fingerprint, not_whole, one_thread
from stress.section import Section

LIMIT = 300.0  # seconds after which a command counts as hanging


def run(section: Section) -> None:
    """Interrupt `lsm upscale`, `lsm benchmark`, `lsm data prepare` and `lsm train`."""
    rng = section.random()
    for name, build in COMMANDS.items():
        place = section.folder / name
        place.mkdir()
        command = build(place)
        undisturbed = place / "undisturbed"
        undisturbed.mkdir()
        start = time.monotonic()
        code, said = _run(command, undisturbed)
        if code:
            section.check(f"{name} runs", False, said)
            continue
        trial = _Trial(section, command, fingerprint(undisturbed), time.monotonic() - start, rng)
        for fault in (_killed, _interrupted, _full_disk, _read_only, _vanishing_input, _two_at_once):
            output = place / fault.__name__.strip("_")
            output.mkdir()
            fault(trial, output)


class _Trial:
    """A command, what it makes when nobody disturbs it, and how long that takes."""

    def __init__(
        self, section: Section, command: Command, expected: dict[str, str], seconds: float, rng: random.Random
    ) -> None:
        self.section, self.command, self.expected, self.seconds, self.rng = section, command, expected, seconds, rng

    def wait(self, process: subprocess.Popen[str], output: Path) -> None:
        """Wait for a moment of the run: a number of new files, and up to half a second more."""
        wanted = len(_files(output)) + self.rng.randrange(max(1, len(self.expected) // 2))
        while len(_files(output)) < wanted and process.poll() is None:
            time.sleep(0.01)
        if wanted == len(_files(output)):
            time.sleep(self.rng.uniform(0, 0.5))

    def check(self, fault: str, output: Path, said: str, good: bool = True, evidence: str = "") -> None:
        """See that all is whole after a fault, and that the same command again ends with what was to be made."""
        torn = not_whole(output)
        trace = "Traceback" in said
        code, again = _run(self.command, output)
        found = fingerprint(output)
        differing = sorted(name for name in self.expected if found.get(name) != self.expected[name])
        held = good and not torn and not trace and code == 0 and not differing
        text = f"{len(found)} files as without the fault{f'; {evidence}' if evidence else ''}"
        wrong = {"torn": torn, "differing": differing, "said": said[-500:], "again": again[-500:]}
        self.section.check(f"{self.command.name}, {fault}", held, text if held else f"{evidence} {code} {wrong}")


def _files(folder: Path) -> list[Path]:
    # Unlike rglob, os.walk minds no folder that goes away meanwhile.
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


def _start(command: Command, output: Path) -> subprocess.Popen[str]:
    arguments, folder = command.call(output)
    # A background shell has its children ignore Ctrl-C; a user's does not.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        arguments, cwd=folder, env=one_thread(), stderr=pipe, stdout=pipe, text=True, preexec_fn=heed
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        out, said = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        return 999, f"hangs: {process.communicate()[1]}"
    return process.returncode, out + said


def _run(command: Command, output: Path) -> tuple[int, str]:
    return _end(_start(command, output))


def _stopped(trial: _Trial, output: Path, number: signal.Signals) -> tuple[int, str]:
    process = _start(trial.command, output)
    trial.wait(process, output)
    process.send_signal(number)
    return _end(process)


def _killed(trial: _Trial, output: Path) -> None:
    times = trial.section.times(3)
    said = "".join(_stopped(trial, output, signal.SIGKILL)[1] for _ in range(times))
    trial.check(f"kill -9 {times} times", output, said)


def _interrupted(trial: _Trial, output: Path) -> None:
    ends = [_stopped(trial, output, signal.SIGINT) for _ in range(trial.section.times(2))]
    codes = sorted(code for code, _ in ends)
    # 0: a training that has saved; 130: interrupted; -2: before Python could look at it; 1, 2 would be errors.
    good = set(codes) <= {0, 130, -signal.SIGINT}
    trial.check("Ctrl-C", output, "".join(said for _, said in ends), good, f"exit codes {codes}")


def _full_disk(trial: _Trial, output: Path) -> None:
    with _small_disk(output, trial.command.too_small) as disk:
        code, said = _run(trial.command, output)
        good = code in (1, 2) and "No space left" in said
        disk("remount,size=256m")
        trial.check("a full disk", output, said, good, f"exit code {code}: {_last(said)}")


def _read_only(trial: _Trial, output: Path) -> None:
    with _small_disk(output, "256m") as disk:
        disk("remount,ro")
        code, said = _run(trial.command, output)
        good = code in (1, 2) and len(said) < 2000
        disk("remount,rw")
        trial.check("a read-only output", output, said, good, f"exit code {code}: {_last(said)}")


def _vanishing_input(trial: _Trial, output: Path) -> None:
    victim, kept = trial.command.victim, trial.command.victim.with_suffix(".kept")
    process = _start(trial.command, output)
    while len(_files(output)) < max(1, len(trial.expected) // 3) and process.poll() is None:
        time.sleep(0.01)
    shutil.move(victim, kept)
    code, said = _end(process)
    shutil.move(kept, victim)
    good = code in (0, 1, 2) and (code == 0 or victim.name in said)
    trial.check("a vanishing input", output, said, good, f"exit code {code}: {_last(said)}")


def _two_at_once(trial: _Trial, output: Path) -> None:
    first = _start(trial.command, output)
    time.sleep(trial.rng.uniform(0, 0.3) * trial.seconds)
    second = _start(trial.command, output)
    ends = [_end(first), _end(second)]
    codes = [code for code, _ in ends]
    trial.check("two runs into one folder", output, "".join(s for _, s in ends), max(codes) <= 2, f"exit codes {codes}")


@contextlib.contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a file system of some size on a folder, and give a function that mounts it again with other options."""

    def mount(options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)

    mount(f"size={size}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:160] if lines else "nothing said"
