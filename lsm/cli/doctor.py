"""`lsm doctor`: what is installed, what it runs on, and how fast."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare the weights of the package with their recorded SHA-256.")
    ] = False,
) -> None:
    """Print versions, devices, the measured speed of each backend, and what each missing extra would bring.

    With --verify, leaves with 1 if a file of weights is not the one that was released.
    """
    if verify:
        _verify()
        return
    from lsm.profiling import doctor as diagnosis
    from lsm.profiling.environment import describe_environment

    places = diagnosis.devices()
    facts = describe_environment(next(iter(places)))
    versions = {name: str(facts[name] or "not installed") for name in ("lsm", "python", "torch", "numpy", "system")}
    _section("versions", versions | {"commit": str(facts["commit"] or "unknown: no git checkout")})
    _section("devices", {str(place): text for place, text in places.items()} | {"processor": str(facts["cpu"])})
    batch, steps, states = diagnosis.SCAN_SHAPE
    for place in places:
        _section(f"scan on {place}, {steps} steps of {batch * states} complex states", diagnosis.scan_speeds(place))
        _section(f"network on {place}", {f"tiny ×4, {diagnosis.SIDE}²": diagnosis.network_speed(place)})
    _section("extras", diagnosis.extras() | {"onnxruntime on": diagnosis.onnx_providers()})


def _verify() -> None:
    """Print what became of each file of weights; leave with 1 if one is missing, damaged or another."""
    from lsm.weights.integrity import verify_embedded

    checks = verify_embedded()
    _section("weights", {check.name: check.description for check in checks})
    if not all(check.good for check in checks):
        raise typer.Exit(1)


def _section(title: str, lines: dict[str, str]) -> None:
    """Print a title and its lines, the texts below each other."""
    typer.echo(title)
    width = max(map(len, lines)) + 1
    for name, text in lines.items():
        typer.echo(f"  {name:<{width}} {text}")


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command()(doctor)
