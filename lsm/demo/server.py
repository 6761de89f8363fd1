"""The demo's server: on this machine alone unless asked, no telemetry, nothing fetched from elsewhere, nothing kept."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence

from lsm.demo.visits import Visits
from lsm.errors import OptionError, needs_extra

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # else it reports each start, and asks for the newest version
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
HEADERS = [
    # A browser that obeys this asks no other server for anything, whatever gradio's page may hold.
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'",
    ),
    (b"referrer-policy", b"no-referrer"),
]


class OwnServerOnly:
    """ASGI middleware that adds `HEADERS` to every answer."""

    def __init__(self, app: object) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        """Pass a request on, and its answer back with more headers."""

        async def send_with_headers(message: dict) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers)  # type: ignore[operator]


@contextlib.contextmanager
def demo_server(
    models: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    device: str = "auto",
    max_pixels: int = 16_000_000,
) -> Iterator[str]:
    """Serve the demo while the block runs.

    Args:
        models: Embedded weights, presets of theirs or files, to choose from.
        host: Address to listen at; another one than this machine's own lets others in.
        port: To listen at; 0 for any that is free.
        device: Where networks run.
        max_pixels: Larger images are refused.

    Returns:
        The page's address.

    Raises:
        OptionError: If gradio is not installed or the port is taken.
    """
    visits = Visits()
    # Read by gradio when it is imported and when its components are made.
    os.environ.update(QUIET, GRADIO_TEMP_DIR=str(visits.root))
    try:
        with needs_extra("demo", "The demo needs gradio"):
            from starlette.middleware import Middleware

            from lsm.demo.page import STYLE, THEME, build_page
        page = build_page(visits, models, device, max_pixels)
        try:
            _, address, _ = page.launch(
                server_name=host, server_port=port or _free_port(host), prevent_thread_lock=True, quiet=True,
                share=False, inline=False, inbrowser=False, ssr_mode=False, mcp_server=False, pwa=False,
                enable_monitoring=False, run_history=False, footer_links=[], theme=THEME, css=STYLE, show_error=True,
                max_file_size=8 * max_pixels + 2**20,  # 16 bits with alpha, not compressed
                app_kwargs={"middleware": [Middleware(OwnServerOnly)]},
            )  # fmt: skip
        except OSError as error:
            raise OptionError(f"Port {port} of {host} cannot be had ({error}); choose another `port`.") from error
        try:
            yield address
        finally:
            page.close(verbose=False)
    finally:
        visits.close()


def end_signal() -> threading.Event:
    """Return what is set by the signal that ends services, from now on."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    return ended


def _free_port(host: str) -> int:
    """Ask the system for a port that nobody listens at."""
    import socket

    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
