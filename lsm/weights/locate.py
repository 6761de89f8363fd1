"""Where weights lie: in the package, on a model hub, or in a file; one place for all that a name can mean."""

from __future__ import annotations

from pathlib import Path

from lsm.errors import CheckpointError, unknown_name
from lsm.weights.hub import OFFICIAL, HubFile, fetch
from lsm.weights.registry import EMBEDDED, embedded_path


def locate(name_or_path: str | Path) -> Path:
    """Find the file that a name means; what lies on a hub is downloaded once, into the cache of huggingface-hub.

    Args:
        name_or_path: The name of embedded weights ("tiny-x4"); of an official checkpoint ("official/light-x4", see
            `lsm.weights.hub.OFFICIAL`); "hf:OWNER/NAME[@REVISION]/FILE"; or a path.

    Returns:
        The file, which may be missing if it was given as a path.

    Raises:
        CheckpointError: If the name is unknown, or the hub does not give the file.
        OptionError: If huggingface-hub is needed and not installed.
    """
    if isinstance(name_or_path, Path):
        return name_or_path
    if name_or_path.startswith(HubFile.PREFIX):
        return fetch(HubFile.parse(name_or_path))
    if name_or_path.startswith("official/") and not Path(name_or_path).exists():
        if name_or_path not in OFFICIAL:
            raise CheckpointError(unknown_name("official checkpoint", name_or_path, OFFICIAL))
        return fetch(OFFICIAL[name_or_path])
    if name_or_path in EMBEDDED:
        return embedded_path(name_or_path)
    if Path(name_or_path).suffix or "/" in name_or_path or "\\" in name_or_path or Path(name_or_path).exists():
        return Path(name_or_path)
    known = unknown_name("weights", name_or_path, [*EMBEDDED, *OFFICIAL])
    raise CheckpointError(f"{known} A file is given by its path, one on the hub as hf:OWNER/NAME/FILE.")
