"""`lsm demo`: upscaling in a browser."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer


def demo(
    models: Annotated[
        list[str],
        typer.Option("-n", "--model", help="Weights to offer besides the embedded ones; may be repeated."),
    ] = [],  # noqa: B006  (typer reads it, nothing writes it)
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0 lets every machine of the network in.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="Port to listen at; 0: any that is free.", min=0, max=65535)
    ] = 7860,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda (also cuda:1) or mps.")] = "auto",
    max_megapixels: Annotated[
        float, typer.Option("--max-megapixels", "--max_megapixels", help="Refuse larger images.", min=0.0001)
    ] = 16,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the default browser.")] = False,
) -> None:
    """Serve a page on this machine: drop an image, compare with bicubic by a slider, download the result.

    Nothing is sent elsewhere; images are deleted when the page is closed. Ctrl-C ends the server.
    """
    from lsm.demo.server import demo_server, end_signal
    from lsm.inference.device import pick_device
    from lsm.inference.networks import open_network
    from lsm.weights.resolve import AUTO, list_models

    pick_device(device)
    for name in models:  # a wrong one is told now rather than to a visitor
        open_network(name, "sr")
    offered = [*models, AUTO, *list_models("sr")]
    ended = end_signal()
    with (
        demo_server(offered, host=host, port=port, device=device, max_pixels=int(max_megapixels * 1e6)) as address,
        contextlib.suppress(KeyboardInterrupt),
    ):
        typer.echo(f"LSM's demo is at {address} until Ctrl-C.", err=True)
        if open_browser:
            typer.launch(address)
        ended.wait()


def register(app: typer.Typer) -> None:
    """Add the command to the `lsm` command."""
    app.command()(demo)
