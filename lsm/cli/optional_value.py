"""Options whose value may be left out, which the command line's library does not offer."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

_ADDRESS = re.compile(r"auto|local|ray://.+|[\w.\-]+:\d+|\[[0-9a-fA-F:]+\]:\d+")


class OptionalAddress(TyperCommand):
    """A command with `--ray [ADDRESS]`: what follows is taken for an address only if it looks like one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put "auto" behind a `--ray` without an address."""
        complete = []
        for index, argument in enumerate(args):
            complete.append(argument)
            following = args[index + 1] if index + 1 < len(args) else ""
            if argument == "--ray" and not _ADDRESS.fullmatch(following):
                complete.append("auto")
        return super().parse_args(ctx, complete)
