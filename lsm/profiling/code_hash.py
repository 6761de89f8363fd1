"""A hash of the code that a figure depends on, so that results of other code are not taken for its own.

What it covers follows from the imports: the modules that compute the figure, all of this project's modules that they
import, inside functions too, and so on. A command line, a report or a demo that only calls them is not among these.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@functools.cache
def code_hash(*modules: str) -> str:
    """Hash the sources of modules and of everything in the project that they import.

    Args:
        *modules: Names, e.g. `"lsm.benchmark.evaluate"`.

    Returns:
        SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256()
    for name, path in sorted(imported_modules(PACKAGE, *modules).items()):
        digest.update(f"{name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def imported_modules(package: Path, *modules: str) -> dict[str, Path]:
    """Follow imports through a package by reading its sources; nothing is executed.

    Imports for type checkers alone count in an `__init__`, where they are the names that the package imports when they
    are asked for, and nowhere else. The outermost `__init__` is left out: it names the public functions of all parts.

    Args:
        package: Folder of the package.
        *modules: Where to begin.

    Returns:
        Source by module, the given ones included.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = None if name in found or name == package.name else _source(package, name)
        if path is not None:
            found[name] = path
            parent = name.rpartition(".")[0]
            is_package = path.name == "__init__.py"
            body = ast.parse(path.read_bytes()).body
            waiting += _imports(body, name if is_package else parent, typing=is_package)
            waiting.append(parent)  # importing a module runs the `__init__` of its package
    return found


def _source(package: Path, name: str) -> Path | None:
    """Return the file of a module; none for a name that is no module of the package."""
    root, *parts = name.split(".")
    if root != package.name:
        return None
    candidates = (package.joinpath(*parts[:-1], f"{parts[-1]}.py"), package.joinpath(*parts, "__init__.py"))
    return next((path for path in candidates if path.is_file()), None)


def _imports(nodes: Iterable[ast.AST], package: str, typing: bool) -> Iterator[str]:
    """Yield the names that statements import; of `from a import b` both `a` and `a.b`, which may be a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and not typing and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from _imports(node.orelse, package, typing)
        else:
            yield from _imports(ast.iter_child_nodes(node), package, typing)
