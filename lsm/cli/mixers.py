"""`lsm mixers`: the token mixers side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from lsm.errors import OptionError

Dim = Annotated[int, typer.Option("--dim", min=1, help="Channels.")]
Sizes = Annotated[str, typer.Option("--sizes", help="Sides of the square images, in pixels, with commas.")]
Only = Annotated[str, typer.Option("--only", help="Names of mixers, with commas; all by default.")]
Device = Annotated[str, typer.Option("--device", help="Where they are timed: auto, cpu, cuda or mps.")]


def mixers(dim: Dim = 48, sizes: Sizes = "64,256", only: Only = "", device: Device = "auto") -> None:
    """List what can stand in the CML's place, and what each costs."""
    import torch
    from rich.console import Console
    from rich.table import Table

    from lsm.inference.device import pick_device
    from lsm.mixers.registry import find_mixer, mixer_names
    from lsm.profiling.complexity import format_quantity
    from lsm.profiling.mixer_cost import mixer_cost

    try:
        sides = [int(side) for side in sizes.split(",")]
    except ValueError:
        sides = [0]
    if min(sides) < 1:
        raise OptionError(f"--sizes {sizes!r} must be whole numbers with commas, e.g. 64,256.")
    names = [find_mixer(name.strip()).name for name in only.split(",")] if only else mixer_names()
    place = pick_device(device)
    table = Table("mixer", "parameters", box=None)
    for side in sides:
        table.add_column(f"MACs {side}²", justify="right")
    for side in sides:
        table.add_column(f"ms {side}²", justify="right")
    for heading in ("grows", "linear", "time a token"):
        table.add_column(heading)
    for name in names:
        cost = mixer_cost(name, dim, sides, place)
        table.add_row(
            name,
            f"{cost.parameters:,}",
            *(format_quantity(count) for count in cost.macs),
            *(f"{1000 * seconds:.2f}" for seconds in cost.seconds),
            cost.growth,
            "yes" if cost.linear else "no",
            f"× {cost.time_ratio:.2f}",
        )
    console = Console()
    console.width = max(console.width, 110)
    console.print(table)
    typer.echo(
        f"\n{dim} channels, default options, {place}, {torch.get_num_threads()} threads, torch {torch.__version__}.\n"
        "'grows' and 'linear' are by formula, in the number n of tokens; 'time a token' is measured: that of "
        f"{sides[-1]}² over that of {sides[0]}², 1 is linear.\n"
        "A Fourier transform of n points counts as 2.5 n log₂ n MACs, a real one as half of that."
    )


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command()(mixers)
