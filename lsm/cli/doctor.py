"""`lsm doctor`: what is installed, what it runs on, and how fast."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Print versions, devices, the measured speed of each backend, and what each missing extra would bring."""
    from lsm.profiling import doctor as diagnosis
    from lsm.profiling.environment import describe_environment

    places = diagnosis.devices()
    facts = describe_environment(next(iter(places)))
    _section(
        "versions",
        {name: str(facts[name] or "not installed") for name in ("lsm", "commit", "python", "torch", "numpy", "system")},
    )
    _section("devices", {str(place): text for place, text in places.items()} | {"processor": str(facts["cpu"])})
    batch, steps, states = diagnosis.SCAN_SHAPE
    for place in places:
        _section(f"scan on {place}, {steps} steps of {batch * states} complex states", diagnosis.scan_speeds(place))
        _section(f"network on {place}", {f"tiny ×4, {diagnosis.SIDE}²": diagnosis.network_speed(place)})
    _section("extras", diagnosis.extras() | {"onnxruntime on": diagnosis.onnx_providers()})


def _section(title: str, lines: dict[str, str]) -> None:
    """Print a title and its lines, the texts below each other."""
    typer.echo(title)
    width = max(map(len, lines)) + 1
    for name, text in lines.items():
        typer.echo(f"  {name:<{width}} {text}")


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command()(doctor)
