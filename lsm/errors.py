"""Errors meant for the user: what is wrong, with which file or value, and what to do about it.

The command line prints them as one line and exits with code 2; a library caller can catch them all as `LSMError`.
A message names an option in backticks (`` `tile_overlap` ``), never by a flag: the command line writes its own spelling
in its place, see `lsm.cli.flags`.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator

from lsm.version import install_command


class LSMError(Exception):
    """Base of every error that a user can mend; its text is complete without a traceback."""


class InputError(LSMError):
    """A file or value given by the user cannot be used."""


class OptionError(LSMError, ValueError):
    """An option, in a YAML file, a call or on the command line, is unknown or has a wrong value."""


class CheckpointError(LSMError):
    """A weights file cannot be read, or does not hold weights of this network."""


@contextlib.contextmanager
def needs_extra(extra: str, reason: str) -> Iterator[None]:
    """Raise an error that says what to install where an import in the block fails.

    Args:
        extra: The optional part of the package that brings what is imported.
        reason: What needs it, e.g. `"Plots need matplotlib"`.

    Raises:
        OptionError: If the import fails; with its words if the library is there but does not load.
    """
    try:
        yield
    except ImportError as error:
        broken = "" if isinstance(error, ModuleNotFoundError) else f" ({error})"
        raise OptionError(f"{reason}: {install_command(extra)}{broken}.") from error


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name, with the nearest known one.

    Args:
        kind: What the name stands for, e.g. `"preset"`.
        name: The unknown name.
        known: The names that exist.

    Returns:
        One line: the name, the nearest match if there is one, and all known names.
    """
    names = sorted(str(item) for item in known)
    near = difflib.get_close_matches(str(name)[:100], names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {kind} {truncate_repr(name)}.{hint} Known: {', '.join(names)}."


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind if it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def one_line(error: BaseException, longest: int = 200) -> str:
    """Return an error's text on one line, cut off where it is long, or its kind if it has none."""
    return " ".join(str(error).split())[:longest] or type(error).__name__


def truncate_repr(value: object) -> str:
    """Return a value as Python would write it, on one line, and cut off after 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
