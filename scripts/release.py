"""What a release is made of: the version and its date, wheel and source archive of equal bytes, and an SBOM.

    python scripts/release.py check --tag v0.1.0   # the version stands in CHANGELOG.md with a date, and fits the tag
    python scripts/release.py build -o dist        # built twice, compared, and checked as an index would
    python scripts/release.py sbom -o dist/lsm-sr.cdx.json --python .venv/bin/python

`build` needs setuptools and twine, `sbom` cyclonedx-bom; `pip install --group release` brings them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lsm.cli import user_errors
from lsm.errors import InputError, LSMError, OptionError

ROOT = Path(__file__).resolve().parents[1]
BUILD = "import sys, setuptools.build_meta as b; to = sys.argv[1]; b.build_sdist(to); b.build_wheel(to)"

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, rich_markup_mode=None)


def stated_version(project: str) -> str:
    """Return the version that the text of a pyproject.toml states, the one place where it stands."""
    match = re.search(r'^version = "([^"]+)"$', project, flags=re.MULTILINE)
    if match is None:
        raise InputError("pyproject.toml states no version.")
    return match[1]


def release_date(changelog: str, version: str) -> str:
    """Return the date that a changelog's text gives a version.

    Raises:
        OptionError: If it has no heading of the version with a date.
    """
    match = re.search(rf"^## {re.escape(version)}, (\d{{4}}-\d\d-\d\d)$", changelog, flags=re.MULTILINE)
    if match is None:
        raise OptionError(f"CHANGELOG.md has no heading '## {version}, YEAR-MONTH-DAY'.")
    return match[1]


def build_once(tree: Path, output: Path, epoch: int) -> dict[str, str]:
    """Build source archive and wheel from a fresh copy of a tree.

    Args:
        tree: A checkout, of which the files that git tracks are taken, or an unpacked source archive.
        output: Folder for both; made if it is not there.
        epoch: The date of everything in them, in seconds since 1970.

    Returns:
        SHA-256 by name of file.

    Raises:
        LSMError: If the build fails.
    """
    with tempfile.TemporaryDirectory() as place:
        copied = Path(place) / "tree"
        _copy(tree, copied)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-c", BUILD, str(output.resolve())]
        output.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(command, cwd=copied, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LSMError(f"The build failed: {done.stderr.strip().splitlines()[-1:]}")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(output.iterdir())}


def _copy(tree: Path, target: Path) -> None:
    """Copy a checkout's tracked files, or all of a tree that is none."""
    if not (tree / ".git").exists():
        shutil.copytree(tree, target)
        return
    for name in _git(tree, "ls-files", "-z").split("\0"):
        if name and (tree / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / name, target / name)


def _git(tree: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=tree, check=True, capture_output=True, text=True).stdout


@app.command()
def check(tag: Annotated[str, typer.Option(help="The tag that is released.")] = "") -> None:
    """See that the version is dated in the changelog, and that a tag fits it."""
    version = stated_version((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    date = release_date((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    if tag and tag != f"v{version}":
        raise OptionError(f"The tag {tag} is not that of version {version}, v{version}.")
    typer.echo(f"{version}, {date}")


@app.command()
def build(output: Annotated[Path, typer.Option("-o", "--output", help="An empty folder.")] = Path("dist")) -> None:
    """Build wheel and source archive twice, compare them, and check them as an index would."""
    if output.exists() and any(output.iterdir()):
        raise OptionError(f"{output} is not empty.")
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or _git(ROOT, "log", "-1", "--format=%ct"))
    first = build_once(ROOT, output, epoch)
    with tempfile.TemporaryDirectory() as other:
        second = build_once(ROOT, Path(other), epoch)
    if first != second:
        raise LSMError(f"Two builds of the same tree differ: {first} and {second}.")
    for name, digest in first.items():
        typer.echo(f"{digest}  {name}")
    files = [str(output / name) for name in first]
    if subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=False).returncode:
        raise LSMError("twine does not accept what was built.")


@app.command()
def sbom(
    python: Annotated[Path, typer.Option(help="Of the environment to list.")] = Path(sys.executable),
    output: Annotated[Path, typer.Option("-o", "--output", help="A JSON file.")] = Path("dist/lsm-sr.cdx.json"),
) -> None:
    """List what an environment holds, by CycloneDX: names, versions, licences, and what needs what."""
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "-o", str(output), str(python)]
    if subprocess.run(command, check=False).returncode:
        raise LSMError("cyclonedx-py failed.")
    typer.echo(str(output))


if __name__ == "__main__":
    with user_errors():
        app()
