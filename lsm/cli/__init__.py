"""The `lsm` command: parses, calls, prints; the work is done by the packages beside this one.

Each module of this package holds one group of commands and imports heavy things inside its functions, so that
`lsm --help` answers at once.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

app = typer.Typer(
    name="lsm",
    help="Make images sharper and larger: single-image super-resolution and restoration with LSM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lsm.version import __version__

        typer.echo(f"lsm {__version__}")
        raise typer.Exit()


@app.callback(help=app.info.help)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0 done, 1 some files failed, 2 bad usage, input or an error of the system such as a full disk, 130 interrupted.

    Args:
        argv: The arguments after the program's name; those of the process by default.
    """
    from lsm.allocator import keep_freed_memory

    keep_freed_memory()
    with user_errors():
        app(args=argv, prog_name="lsm")


@contextmanager
def user_errors() -> Iterator[None]:
    """Print an error that the user can mend, or one of the system, as one line, and leave with exit code 2."""
    from lsm.cli.flags import translate_options
    from lsm.errors import LSMError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no text
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except LSMError as error:
        print(f"lsm: error: {translate_options(str(error))}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        logging.getLogger(__name__).debug("An error of the system", exc_info=error)
        where = f"{error.filename}: " if error.filename else ""
        print(f"lsm: error: {where}{error.strerror or error}.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("lsm: interrupted", file=sys.stderr)
        sys.exit(130)


# Each group registers its commands here; the modules import heavy packages only when a command runs.
from lsm.cli import benchmark as _benchmark  # noqa: E402
from lsm.cli import data as _data  # noqa: E402
from lsm.cli import demo as _demo  # noqa: E402
from lsm.cli import denoise as _denoise  # noqa: E402
from lsm.cli import doctor as _doctor  # noqa: E402
from lsm.cli import export as _export  # noqa: E402
from lsm.cli import mixers as _mixers  # noqa: E402
from lsm.cli import models as _models  # noqa: E402
from lsm.cli import options as _options  # noqa: E402
from lsm.cli import restore as _restore  # noqa: E402
from lsm.cli import training as _training  # noqa: E402
from lsm.cli import upscale as _upscale  # noqa: E402
from lsm.cli import video as _video  # noqa: E402

_GROUPS = (
    _upscale,
    _restore,
    _video,
    _models,
    _mixers,
    _benchmark,
    _data,
    _training,
    _options,
    _denoise,
    _export,
    _demo,
    _doctor,
)
for _group in _GROUPS:
    _group.register(app)
