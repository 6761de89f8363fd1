"""The suite on every supported Python, with the oldest and the newest versions of what it needs.

`nox` runs all; `nox -s "tests-3.10(lowest-direct)"` one; `nox -s slow` what the suite leaves out; what follows `--`
goes to pytest. Interpreters are found as `python3.10` and so on. The versions are chosen by uv's resolver:
`lowest-direct` takes the lower bounds of pyproject.toml as they stand. An environment is a few GB, most of it torch.
"""

from __future__ import annotations

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
RESOLUTIONS = ("lowest-direct", "highest")

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests"]


def _install(session: nox.Session, resolution: str, *extras: str) -> None:
    """Install the package with extras, and print the versions, which belong into docs/versions.md."""
    # Lower bounds are tried as wheels: a version whose wheels end before this Python is none that a user would get.
    wheels = ("--only-binary", ":all:", "--no-binary", "lsm-sr", "--no-binary", "basicsr")
    session.install("--resolution", resolution, *wheels, "-e", f".[{','.join(extras)}]")
    session.run("uv", "pip", "list", external=True)


@nox.session(python=PYTHONS)
@nox.parametrize("resolution", RESOLUTIONS, ids=RESOLUTIONS)
def tests(session: nox.Session, resolution: str) -> None:
    """Run the suite with all extras that tests use."""
    _install(session, resolution, "dev")
    if tuple(map(int, str(session.python).split("."))) >= (3, 13):  # where its source release cannot be built as it is
        session.run("lsm", "install-basicsr")
    session.run("pytest", "-q", *session.posargs)


@nox.session(python=PYTHONS)
@nox.parametrize("resolution", RESOLUTIONS, ids=RESOLUTIONS)
def smallest(session: nox.Session, resolution: str) -> None:
    """Run what upscaling needs, without any extra."""
    _install(session, resolution)
    session.install("pytest>=8", "hypothesis>=6.100")
    session.run("pytest", "-q", *(session.posargs or ("tests/scan", "tests/arch", "tests/weights", "tests/inference")))


@nox.session(python=PYTHONS[-2])
def slow(session: nox.Session) -> None:
    """Run the tests marked slow, of each of which the suite has a quicker one."""
    _install(session, RESOLUTIONS[-1], "dev")
    session.run("pytest", "-q", "-m", "slow", *session.posargs)
