"""`lsm train` and `lsm test`: training and testing through BasicSR's configs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from lsm.errors import needs_extra

Config = Annotated[Path, typer.Option("-opt", "--opt", help="The YAML config.", show_default=False)]
Launcher = Annotated[str, typer.Option("--launcher", help="none, pytorch (torchrun) or slurm.")]
ForceYml = Annotated[
    list[str],
    typer.Option("--force_yml", "--force-yml", help="Override keys of the file: train:optim_g:lr=1e-4 name=other."),
]
Plugins = Annotated[
    list[str],
    typer.Option("--plugin", help="Module, or file .py, to import first: its networks, losses, data sets, mixers."),
]
# BasicSR's --force_yml takes several values; what follows its first one arrives here.
MoreForced = Annotated[list[str], typer.Argument(metavar="[KEY=VALUE]...", help="More overrides.", hidden=True)]


def train(
    opt: Config,
    launcher: Launcher = "none",
    auto_resume: Annotated[
        bool, typer.Option("--auto_resume", "--auto-resume", help="Continue from the newest training state.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print each iteration, save and validate every 8.")] = False,
    plugin: Plugins = [],  # noqa: B006  (typer reads it, nothing writes it)
    force_yml: ForceYml = [],  # noqa: B006
    more: MoreForced = [],  # noqa: B006
) -> None:
    """Train a network as a config says; its files go to experiments/NAME."""
    _launch().train(opt, [*force_yml, *more], launcher, auto_resume, debug, plugin)


def test(
    opt: Config,
    launcher: Launcher = "none",
    sets: Annotated[
        str, typer.Option("--sets", help="Names of datasets, by commas.", show_default="all of the file")
    ] = "",
    require_all: Annotated[
        bool,
        typer.Option("--require-all", "--require_all", help="Fail where the folder of a dataset is missing."),
    ] = False,
    plugin: Plugins = [],  # noqa: B006
    force_yml: ForceYml = [],  # noqa: B006
    more: MoreForced = [],  # noqa: B006
) -> None:
    """Measure a network on the datasets of a config that are there; results go to results/NAME."""
    names = [name.strip() for name in sets.split(",") if name.strip()]
    _launch().test(opt, [*force_yml, *more], launcher, names, require_all, plugin)


def install_basicsr(
    source: Annotated[
        Path | None,
        typer.Option("--source", help="basicsr-1.4.2.tar.gz, if pip cannot fetch it.", show_default="pip fetches it"),
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option("--wheel", help="Folder to put the wheel into, without installing it.")
    ] = None,
) -> None:
    """Build and install BasicSR 1.4.2, which trains and tests, on Pythons that its source release does not know."""
    from lsm.training.basicsr_build import VERSION, install

    built = install(source, wheel)
    typer.echo(str(built) if built else f"basicsr {VERSION} is installed: lsm train -opt FILE.yml")


def _launch() -> ModuleType:
    """Import what trains; it needs more than the rest of the package.

    Raises:
        OptionError: If the extra `train` is not installed.
    """
    with needs_extra("train", "Training and testing run on BasicSR"):
        from lsm.training import launch
    return launch


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    app.command()(train)
    app.command()(test)
    app.command()(install_basicsr)
