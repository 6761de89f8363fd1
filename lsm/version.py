"""The version of this package, and of others, as they are installed."""

from __future__ import annotations

from importlib import metadata

DISTRIBUTION = "lsm-sr"


def installed_version(package: str) -> str | None:
    """Return the version of a package, none if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


__version__ = installed_version(DISTRIBUTION) or "0+development"
"""That of the installed package; "0+development" for a checkout that is not installed."""
