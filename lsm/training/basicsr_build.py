"""BasicSR on Python 3.13 and newer, where its source release cannot be built as it is.

Its setup script reads its version by `exec` and `locals()`, which PEP 667 ended. Here pip fetches the source, by the
index, proxy and certificates that it is set up with, and checks its hash; two lines of the setup script are mended, and
pip builds and installs the result. No line of the package itself is changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lsm.data.archives import extract
from lsm.errors import InputError, LSMError

VERSION = "1.4.2"
SHA256 = "b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87"
"""Of `basicsr-1.4.2.tar.gz`, the one source release of that version."""

MENDED = (
    # What `exec` defines in a function is no longer seen by `locals()` after it.
    (
        "exec(compile(f.read(), version_file, 'exec'))\n    return locals()['__version__']",
        f"pass\n    return {VERSION!r}",
    ),
    # Needed for its CUDA extensions alone, which are not built; pip would fetch torch once more for it.
    ("setup_requires=['cython', 'numpy', 'torch'],", ""),
)
"""Text of the setup script, and what takes its place."""


def install(source: Path | None = None, wheels: Path | None = None) -> Path | None:
    """Fetch, mend and build BasicSR, and install it with what it needs.

    Args:
        source: The source release, where it was downloaded by other means; none to have pip fetch it.
        wheels: A folder to put the wheel into rather than to install it.

    Returns:
        The wheel, where there is a folder to keep it.

    Raises:
        InputError: If the source is another file than the published one.
        LSMError: If there is no pip, or it fails.
    """
    if importlib.util.find_spec("pip") is None:
        raise LSMError("pip is not installed in this environment: `python -m ensurepip` or `uv pip install pip`.")
    with tempfile.TemporaryDirectory(prefix="basicsr-") as work:
        folder = _unpack(source, Path(work)) if source else _fetch(Path(work))
        mend(folder / "setup.py")
        target = wheels or Path(work) / "wheels"
        _pip(["wheel", "--no-deps", "--wheel-dir", str(target), str(folder)])
        (wheel,) = target.glob(f"basicsr-{VERSION}-*.whl")
        if wheels:
            return wheel
        _pip(["install", str(wheel)])
    return None


def mend(setup: Path) -> None:
    """Mend the setup script.

    Raises:
        LSMError: If it is another script than the known one.
    """
    text = setup.read_text(encoding="utf-8")
    for old, new in MENDED:
        if text.count(old) != 1:
            raise LSMError(f"{setup}: is not the setup script of BasicSR {VERSION}; nothing was built.")
        text = text.replace(old, new)
    setup.write_text(text, encoding="utf-8")


def _unpack(archive: Path, work: Path) -> Path:
    """Check the hash of a source release, and unpack it."""
    try:
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{archive}: cannot be read: {error.strerror}.") from error
    if found != SHA256:
        raise InputError(f"{archive}: is not the published basicsr-{VERSION}.tar.gz: SHA-256 {found}.")
    extract(archive, work / "source")
    return work / "source" / f"basicsr-{VERSION}"


def _fetch(work: Path) -> Path:
    """Have pip fetch the source and check its hash.

    pip looks into the setup script before it hands a source over, and fails there on the Pythons that this is for; with
    `--no-clean` it leaves what it has fetched, checked and unpacked.
    """
    requirement = work / "requirement.txt"
    requirement.write_text(f"basicsr=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
    for name in ("unpacked", "archive"):
        (work / name).mkdir()
    command = ["download", "--no-deps", "--no-binary", "basicsr", "--no-build-isolation", "--no-clean"]
    command += ["--require-hashes", "--requirement", str(requirement), "--dest", str(work / "archive")]
    done = _run_pip(command, {"TMPDIR": str(work / "unpacked")})
    for archive in (work / "archive").glob("*.tar.gz"):
        return _unpack(archive, work)
    for setup in (work / "unpacked").rglob("setup.py"):
        if (setup.parent / "basicsr").is_dir():
            return setup.parent
    raise LSMError(f"pip could not fetch basicsr {VERSION}:\n{done.stdout.strip()[-2000:]}")


def _pip(arguments: Sequence[str]) -> None:
    done = _run_pip(arguments)
    if done.returncode:
        raise LSMError(f"pip {arguments[0]} failed:\n{done.stdout.strip()[-2000:]}")


def _run_pip(arguments: Sequence[str], more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run this environment's pip and return what it says."""
    command = [sys.executable, "-m", "pip", *arguments]
    environment = {**os.environ, **(more or {})}
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
