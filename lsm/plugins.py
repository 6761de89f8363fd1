"""Modules of a user's own: what they register when they are imported can be named in options."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from lsm.errors import LSMError, OptionError, one_line


def load_plugins(names: Iterable[str]) -> list[ModuleType]:
    """Import modules, each of them once. Their code is run.

    Args:
        names: Of modules, `"my_package.my_module"`, which may lie in the current folder; or files, `"folder/mine.py"`.

    Returns:
        The modules.

    Raises:
        OptionError: If one is not there, or cannot be imported.
    """
    return [_load(name) for name in names]


def _load(name: str) -> ModuleType:
    path = Path(name).expanduser()
    is_file = name.endswith(".py")
    if is_file and not path.is_file():
        raise OptionError(f"The plug-in {name} does not exist.")
    # Worker processes import what their parent has imported by the same path.
    folder = str((path.parent if is_file else Path()).resolve())
    if folder not in sys.path:
        sys.path.append(folder)
    module = path.stem if is_file else name
    known = sys.modules.get(module)
    if is_file and known is not None and not _is_from(known, path):
        raise OptionError(f"The plug-in {name} is called like the module {module}, which is imported; rename it.")
    try:
        return importlib.import_module(module)
    except LSMError:
        raise
    except Exception as error:  # whatever the module's own code raises
        raise OptionError(
            f"The plug-in {name} cannot be imported: {type(error).__name__}: {one_line(error)}."
        ) from error


def _is_from(module: ModuleType, path: Path) -> bool:
    """Return whether a module was imported from a file."""
    return module.__file__ is not None and Path(module.__file__).resolve() == path.resolve()
