"""Fuzz one kind of file under libFuzzer's guidance, by atheris.

    python tests/fuzz/harness.py image --seconds 600 --corpus results/fuzz/image

Needs atheris (`pip install atheris`, Linux and macOS). The corpus is kept between runs; an input that breaks a
promise is written to the corpus' folder as crash-…, and belongs into tests/fuzz/crashers/KIND once that is mended.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `fuzz` and `stress`, however this file is started

INSTRUMENTED = {
    "image": ["lsm", "PIL", "tifffile"],
    "checkpoint": ["lsm"],
    "options": ["lsm", "yaml"],
    "audio": ["lsm", "soundfile"],
}
"""Packages whose branches guide the search, by target; atheris knows no smaller parts."""
COMPILED = ["lsm.scan.numba_scan", "lsm.scan.numba_modulated"]
"""Modules that numba compiles, which it cannot with the counters in them."""


def main() -> None:
    """Read the arguments, load what is fuzzed with its branches counted, and hand over to libFuzzer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=INSTRUMENTED)
    parser.add_argument("--seconds", type=int, default=600, help="time budget")
    parser.add_argument("--corpus", type=Path, help="folder of inputs, kept and extended; results/fuzz/TARGET if none")
    arguments, libfuzzer = parser.parse_known_args()
    corpus = arguments.corpus or Path("results/fuzz") / arguments.target
    # In a process of its own: what it imports would be loaded here without its branches being counted.
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("seeds.py")), arguments.target, str(corpus)], check=True
    )
    flags = [f"-max_total_time={arguments.seconds}", "-timeout=20", "-rss_limit_mb=3000", "-max_len=65536"]
    fuzz(arguments.target, [*flags, f"-artifact_prefix={corpus}/", "-print_final_stats=1", *libfuzzer, str(corpus)])


def fuzz(name: str, arguments: list[str]) -> None:
    """Run a target until libFuzzer ends; it leaves the process itself.

    Args:
        name: One of `fuzz.targets.TARGETS`.
        arguments: Of libFuzzer, the folder of inputs last.
    """
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED[name], exclude=COMPILED):
        from fuzz.targets import TARGETS

        for path in sorted(Path(arguments[-1]).iterdir())[:50]:  # loads all that the target imports, in no one's time
            TARGETS[name](path.read_bytes())
    atheris.Setup([sys.argv[0], *arguments], functools.partial(_recorded, TARGETS[name], Path(arguments[-1])))
    atheris.Fuzz()


def _recorded(target: Callable[[bytes], None], folder: Path, data: bytes) -> None:
    """Run a target, and keep what breaks a promise: libFuzzer may be ended by its own alarm before it does."""
    try:
        target(data)
    except Exception:
        (folder / f"crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}").write_bytes(data)
        raise


if __name__ == "__main__":
    main()
