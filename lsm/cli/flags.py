"""From the names of options, as the library's messages write them, to the flags of the command line."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

_OPTION = re.compile(r"`([a-z][a-z0-9_]*)`")

OTHER_NAMES = {"max_pixels": "--max-megapixels"}
"""Options that the library calls otherwise than the command line."""


def translate_options(text: str) -> str:
    """Replace options in backticks, `` `skip_existing` ``, by their flags, --skip-existing; all else stays."""
    if "`" not in text:
        return text
    flags = _flags()
    return _OPTION.sub(lambda match: flags.get(match[1], match[0]), text)


@functools.cache
def _flags() -> dict[str, str]:
    """Collect the long flag of each option of all commands; where two commands differ, the first one's."""
    from typer.main import get_command

    from lsm.cli import app

    flags = dict(OTHER_NAMES)
    for parameter in _parameters(get_command(app)):
        long = [spelling for spelling in parameter.opts if spelling.startswith("--")]
        if long and parameter.name:
            flags.setdefault(parameter.name, long[0])
    return flags


def _parameters(command: Any) -> Iterator[Any]:
    """Walk through the options of a command and of those below it."""
    yield from command.params
    for inner in getattr(command, "commands", {}).values():
        yield from _parameters(inner)
