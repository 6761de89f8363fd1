"""`lsm options`: the configs that come with the package, listed, and copied to where they can be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def list_files() -> None:
    """List the configs that come with the package."""
    from lsm.training.recipes import recipes, summary

    files = recipes()
    width = max(map(len, files))
    for name, file in files.items():
        typer.echo(f"{name:<{width}}  {summary(file)}")


def copy(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="tiny_x4, train/tiny_x4, or a pattern such as 'light_*'.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for train/NAME.yml and test/NAME.yml.")] = Path(
        "options"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files of these names.")] = False,
) -> None:
    """Copy configs, to be changed and given to `lsm train -opt` and `lsm test -opt`."""
    from lsm.training.recipes import copy as copy_files

    for file in copy_files(names, output, overwrite):
        typer.echo(str(file))


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    group = typer.Typer(add_completion=False, no_args_is_help=True, help="Configs for training and testing.")
    group.command("list")(list_files)
    group.command()(copy)
    app.add_typer(group, name="options")
