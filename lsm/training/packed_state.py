"""A training's newest state in one compressed file, so that another checkout goes on where this one stopped.

It holds what `--auto_resume` needs, under the run's name, and nothing else: `models/net_g_ITER.pth` and
`training_states/ITER.state`; the options are another file. The same state always gives the same bytes.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
from pathlib import Path

from lsm.errors import CheckpointError, InputError
from lsm.files import atomic_file, only_process
from lsm.training import checkpoints

SUFFIX = ".tar.xz"
_CONTENT = (
    re.compile(r"(?P<name>[^/\\:]+)/models/net_g_(?P<iteration>\d+)\.pth"),
    re.compile(r"(?P<name>[^/\\:]+)/training_states/(?P<iteration>\d+)\.state"),
)


def pack(run: Path, target: Path) -> Path:
    """Write the newest whole state of a run as `target/NAME.tar.xz`, in the place of an older one.

    Args:
        run: The run's folder, `experiments/NAME`.
        target: Folder to write to; made where it is not there.

    Returns:
        The file.

    Raises:
        InputError: If there is no such run, or nothing in it to go on from.
        OptionError: If a training is going on in it.
        CheckpointError: If none of its states can be read.
    """
    if not run.is_dir():
        raise InputError(f"There is no folder {run}.")
    run = run.resolve()  # "." has no name
    with only_process(run):
        state = checkpoints.newest_state(run / "training_states", run / "models")
        if state is None:
            raise InputError(f"{run} holds no training state yet.")
        network = checkpoints.network_path(run / "models", state["iter"])
        files = (network, run / "training_states" / f"{state['iter']}.state")
        target.mkdir(parents=True, exist_ok=True)
        path = target / f"{run.name}{SUFFIX}"
        with atomic_file(path) as file, tarfile.open(fileobj=file, mode="w:xz", preset=9) as archive:
            for each in files:
                # Neither owner nor time, which say nothing and would make each file another.
                entry = tarfile.TarInfo(Path(run.name, each.relative_to(run)).as_posix())
                content = each.read_bytes()
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def unpack(path: Path, experiments: Path) -> Path:
    """Put a packed state where `lsm train --auto_resume` finds it.

    Args:
        path: A file that `pack` wrote.
        experiments: Folder of the runs.

    Returns:
        The run's folder, `experiments/NAME`.

    Raises:
        InputError: If the run is there already with a state of its own, which could be the newer one.
        OptionError: If a training is going on in it.
        CheckpointError: If the file is damaged, or is no packed state.
    """
    contents = _read(path)
    run = experiments / next(iter(contents)).split("/")[0]
    run.mkdir(parents=True, exist_ok=True)
    with only_process(run):
        if checkpoints.list_states(run / "training_states"):
            raise InputError(f"{run} already holds a training: move it away to go on from {path}.")
        for name, content in contents.items():  # the state last: where it is, the run can be resumed
            place = experiments / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(place) as file:
                file.write(content)
    return run


def _read(path: Path) -> dict[str, bytes]:
    """Read the two files in their order, and see that they are these and belong together."""
    try:
        content = lzma.decompress(path.read_bytes())  # as a whole: tarfile stops before the checksums at the end
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            entries = archive.getmembers()
            matches = [pattern.fullmatch(entry.name) for pattern, entry in zip(_CONTENT, entries, strict=False)]
            found = [match.groupdict() for match in matches if match is not None]
            if not len(entries) == len(found) == len(_CONTENT) or not all(entry.isfile() for entry in entries):
                raise CheckpointError(f"{path} is not a packed training state.")
            if found[0]["name"] in {".", ".."} or len({each["name"] for each in found}) > 1:
                raise CheckpointError(f"{path} is not a packed training state of one run.")
            if found[0]["iteration"] != found[1]["iteration"]:
                raise CheckpointError(f"{path}: the network and the state are of different iterations.")
            return {entry.name: archive.extractfile(entry).read() for entry in entries}  # type: ignore[union-attr]
    except (OSError, tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise CheckpointError(f"Cannot read {path}: {error}") from error
