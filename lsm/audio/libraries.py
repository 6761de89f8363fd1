"""Libraries that only the denoisers need: they come with extras, and their absence is said in one line."""

from __future__ import annotations

import importlib
from types import ModuleType

from lsm.errors import InputError
from lsm.version import install_command

EXTRAS = {"soundfile": "audio", "soxr": "audio", "pystoi": "audio", "pesq": "pesq"}
"""The extra of the package that brings each library."""


def load_library(name: str) -> ModuleType:
    """Import a library.

    Args:
        name: One of `EXTRAS`.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        compiler = ", which needs a C compiler" if name == "pesq" else ""
        raise InputError(f"The package {name} is not installed: {install_command(EXTRAS[name])}{compiler}.") from error
