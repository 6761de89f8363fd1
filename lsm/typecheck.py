"""Whether a value that a user gave has the type that an option is declared with."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from lsm.errors import OptionError, truncate_repr

LARGEST = 2**53
"""Beyond it, neither floats nor torch hold every whole number."""


def check_type(owner: str, name: str, value: Any, expected: Any) -> None:
    """Raise unless a value has the type of an option.

    Args:
        owner: What has the option, e.g. "LSM".
        name: Of the option.
        value: As given.
        expected: int (no bool), float (an int too), bool, str, a tuple of these (a list too), a dict (any
            mapping), or a union of names, mappings and classes.

    Raises:
        OptionError: On another type, a float that is not finite, or an int beyond `LARGEST`.
    """
    kind = typing.get_origin(expected) or expected
    if kind is types.UnionType:
        if not isinstance(value, tuple(typing.get_origin(item) or item for item in typing.get_args(expected))):
            raise OptionError(
                f"Option {name} of {owner} must be a name or a mapping of options, not {truncate_repr(value)}."
            )
        return
    if kind is dict:
        if not isinstance(value, Mapping):
            raise OptionError(f"Option {name} of {owner} must map names to values, not {truncate_repr(value)}.")
        return
    if kind is tuple:
        if not isinstance(value, (list, tuple)):
            raise OptionError(f"Option {name} of {owner} must be a list, not {truncate_repr(value)}.")
        for item in value:
            check_type(owner, name, item, typing.get_args(expected)[0])
        return
    accepted = (int, float) if expected is float else expected
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        raise OptionError(f"Option {name} of {owner} must be of type {expected.__name__}, not {truncate_repr(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(f"Option {name} of {owner} must be finite, not {value}.")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise OptionError(f"Option {name} of {owner} is too large: {truncate_repr(value)}.")
