"""A training's newest state in one compressed file, so that another checkout goes on where this one stopped.

It holds what `auto_resume` needs, under the run's name, and nothing else: `models/net_g_ITER.pth` and
`training_states/ITER.state`; the config is another file. The same state always gives the same bytes.
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
_STATE = re.compile(r"([^/\\:]+)/training_states/(\d+)\.state")


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
        target.mkdir(parents=True, exist_ok=True)
        path = target / f"{run.name}{SUFFIX}"
        with atomic_file(path) as file, tarfile.open(fileobj=file, mode="w:xz", preset=9) as archive:
            for each in _files(run, state["iter"]):
                # Neither owner nor time, which say nothing and would make each file another.
                entry = tarfile.TarInfo(each.relative_to(run.parent).as_posix())
                content = each.read_bytes()
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def unpack(path: Path, experiments: Path) -> Path:
    """Put a packed state where a training with `auto_resume` finds it.

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
        for name, content in contents.items():
            place = experiments / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(place) as file:
                file.write(content)
    return run


def _files(run: Path, iteration: int | str) -> tuple[Path, Path]:
    """Return what is packed, in its order: the state last, since where it is, the run can be resumed."""
    network = checkpoints.network_path(run / "models", iteration)
    return network, checkpoints.state_path(run / "training_states", iteration)


def _read(path: Path) -> dict[str, bytes]:
    """Read the two files in their order, and see that they are these and belong together."""
    try:
        content = lzma.decompress(path.read_bytes())  # as a whole: tarfile stops before the checksums at the end
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            entries = archive.getmembers()
            last = _STATE.fullmatch(entries[-1].name) if entries else None
            expected = _files(Path(last[1]), last[2]) if last and last[1] not in {".", ".."} else ()
            names = [each.as_posix() for each in expected]
            if not names or [entry.name for entry in entries] != names or not all(entry.isfile() for entry in entries):
                raise CheckpointError(f"{path} is not a packed training state: it must hold a network and its state.")
            return {entry.name: archive.extractfile(entry).read() for entry in entries}  # type: ignore[union-attr]
    except (OSError, tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise CheckpointError(f"Cannot read {path}: {error}") from error
