"""The version of this package, and of others, as they are installed; and where the package itself came from."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

DISTRIBUTION = "lsm-sr"


def installed_version(package: str) -> str | None:
    """Return the version of a package, none if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


__version__ = installed_version(DISTRIBUTION) or "0+development"
"""That of the installed package; "0+development" for a checkout that is not installed."""


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation, from where the package itself came.

    A name alone would let an index decide what is installed, where the package came from a folder, an archive or a
    repository. Double quotes, since those are what every shell takes, Windows' included.
    """
    try:
        origin = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")  # by PEP 610; none from an index
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        origin = json.dumps({"url": Path(__file__).resolve().parents[1].as_uri(), "dir_info": {"editable": True}})
    source = _requirement(json.loads(origin), extra) if origin else None
    # pip leaves an installed package of this name as it is, and adds what the extra needs.
    by_name = f'"{DISTRIBUTION}[{extra}]"'
    return f"pip install {source or by_name}"


def _requirement(origin: dict[str, Any], extra: str) -> str | None:
    """Write an origin as pip takes it, quoted; none if it is a folder that is gone."""
    url = origin["url"]
    if "dir_info" not in origin:
        if "vcs_info" in origin:
            url = f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}"
        return f'"{DISTRIBUTION}[{extra}] @ {url}"'
    folder = Path(url2pathname(urlparse(url).path))
    if not (folder / "pyproject.toml").is_file():
        return None
    return f'{"-e " if origin["dir_info"].get("editable") else ""}"{folder}[{extra}]"'
