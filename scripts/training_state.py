"""Keep a training's newest state in one compressed file, and go on from it elsewhere.

python scripts/training_state.py pack experiments/NAME                 writes experiments/states/NAME.tar.xz
python scripts/training_state.py unpack experiments/states/NAME.tar.xz  makes experiments/NAME, to be resumed
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lsm.cli import user_errors
from lsm.training import packed_state

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Keep a training's state, and go on from it.")


@app.command()
def pack(
    run: Annotated[Path, typer.Argument(help="The run's folder, experiments/NAME.", show_default=False)],
    target: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("experiments/states"),
) -> None:
    """Write the newest state of a training as NAME.tar.xz."""
    path = packed_state.pack(run, target)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


@app.command()
def unpack(
    path: Annotated[Path, typer.Argument(help="A file that pack wrote.", show_default=False)],
    experiments: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("experiments"),
) -> None:
    """Put a packed state where `lsm train --auto_resume` finds it."""
    print(packed_state.unpack(path, experiments))


if __name__ == "__main__":
    with user_errors():
        app()
