"""Which images become which files: inputs found, outputs named, and everything refused that would lose a file."""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsm.batch.outputs import OutputOptions
from lsm.errors import InputError, OptionError
from lsm.image.formats import EXTENSIONS, READABLE, format_of
from lsm.image.io import has_alpha, is_image_name, printable
from lsm.image.remote import AnyPath, RemotePath, any_path, exists

log = logging.getLogger(__name__)

DEFAULT_OUTPUT = OutputOptions()


@dataclass(frozen=True)
class Job:
    """One image to upscale.

    Attributes:
        source: The image.
        target: The file to make.
        replace: Whether a file of that name may be replaced, even if it appears while the work is done.
        skip: Whether the job is skipped, rather than failed, if such a file appears and may not be replaced.
        output: How the output is made.
        note: What is to be said of the output's name; empty if nothing.
    """

    source: AnyPath
    target: AnyPath
    replace: bool = False
    skip: bool = False
    output: OutputOptions = DEFAULT_OUTPUT
    note: str = ""


@dataclass(frozen=True)
class Naming:
    """How outputs are named: NAME_SUFFIX.EXT in the input's place of the tree.

    Attributes:
        output: A folder; or, for a single file, the name of the output.
        suffix: Appended to names after an underscore; none if empty.
        ext: "auto" for the input's own, or an extension with or without its dot.
        drop_alpha: Whether outputs have no transparency. Else a transparent image becomes a PNG instead of a JPEG.
    """

    output: AnyPath
    suffix: str = "out"
    ext: str = "auto"
    drop_alpha: bool = False

    def __post_init__(self) -> None:
        if self.ext != "auto":
            format_of(Path(f"a.{self.ext.lstrip('.')}"))
        if Path(self.suffix).name != self.suffix:
            raise OptionError(f"Suffix {self.suffix!r} must be part of a name, not of a path.")

    def target(self, source: AnyPath, place: Path) -> tuple[AnyPath, str]:
        """Return the output of `source`, which lies at `place` in the input's tree, and what is to be said of it."""
        ext = source.suffix if self.ext == "auto" else f".{self.ext.lstrip('.')}"
        ext, note = ext if ext.lower() in EXTENSIONS else ".png", ""
        form = EXTENSIONS[ext.lower()]
        if not self.drop_alpha and not form.alpha and has_alpha(source):
            ext, note = ".png", f"written as PNG, since {form.name} holds no transparency"
        stem = f"{place.stem}_{self.suffix}" if self.suffix else place.stem
        return self.output / place.parent / f"{stem}{ext}", note


def plan(
    inputs: Sequence[str],
    naming: Naming,
    *,
    skip_existing: bool = False,
    overwrite: bool = False,
    output: OutputOptions | None = None,
) -> tuple[list[Job], list[Job]]:
    """Find all images and name their outputs.

    Args:
        inputs: Files, folders (searched recursively for images), glob patterns (`**` too), and URLs of the first two.
        naming: How outputs are named.
        skip_existing: Leave out jobs whose output is there.
        overwrite: Allow outputs that are there, even the input itself, to be replaced.
        output: How outputs are made.

    Returns:
        The jobs to do, sorted by input, and those left out.

    Raises:
        InputError: If an input is missing or nameless, or no image is found.
        OptionError: If the outputs cannot be written, collide, or would replace files without `overwrite`.
    """
    if skip_existing and overwrite:
        raise OptionError("`skip_existing` and `overwrite` exclude each other.")
    if "" in inputs:  # a shell's unset variable; as a path it would mean the whole working folder
        raise InputError("An input's name is empty; name a file, a folder or a pattern.")
    named = [(name, any_path(name)) for name in inputs]
    how = (overwrite, skip_existing, output or DEFAULT_OUTPUT)
    found = _find(named, naming.output)
    if is_image_name(naming.output) and not naming.output.is_dir():
        if len(found) > 1 or any(path.is_dir() for _, path in named):
            raise OptionError(f"{printable(naming.output)} names one image; several inputs need a folder as output.")
        jobs = [Job(found[0][0], _check_output(naming), *how)]
    else:
        jobs = []
        for source, place in found:
            target, note = naming.target(source, place)
            jobs.append(Job(source, target, *how, note))
    if naming.suffix:
        jobs = _without_own_outputs(jobs, {_key(path) for _, path in named})
    _check_collisions(jobs, overwrite)
    _check_folder(naming.output if jobs[0].target != naming.output else naming.output.parent)
    there = _done(jobs, naming.output)
    if there and not skip_existing and not overwrite:
        others = f" and {len(there) - 1} more outputs exist" if len(there) > 1 else " exists"
        raise OptionError(f"{printable(there[0].target)}{others} already; use `overwrite` or `skip_existing`.")
    if not skip_existing:
        return jobs, []
    left_out = set(there)
    return [job for job in jobs if job not in left_out], there


def count_others(inputs: Sequence[str], output: AnyPath) -> Counter[str]:
    """Count the files in folders, patterns and stores that are no images by their names, by their endings.

    Args:
        inputs: See `plan`.
        output: The folder of the outputs, which is passed over.
    """
    others: dict[str, str] = {}
    for name in inputs:
        path = any_path(name)
        files: Sequence[AnyPath]
        if isinstance(path, RemotePath):
            files = [file for file, _ in _remote_files(path, output)]
        elif path.is_dir():
            files = list(_files_below(path, output))
        else:
            files = (
                [] if path.exists() else [hit for hit in _expand(name) if hit.is_file() and output not in hit.parents]
            )
        others.update({_key(file): file.suffix.lower() or "no ending" for file in files if not is_image_name(file)})
    return Counter(others.values())


def _check_output(naming: Naming) -> AnyPath:
    """Return the name of a single output, if it does not contradict the other options."""
    if naming.ext != "auto" and format_of(naming.output) != EXTENSIONS[f".{naming.ext.lstrip('.')}".lower()]:
        raise OptionError(f"Output {printable(naming.output)} is no .{naming.ext.lstrip('.')} file, as `ext` asks for.")
    return naming.output


def _find(inputs: Sequence[tuple[str, AnyPath]], output: AnyPath) -> list[tuple[AnyPath, Path]]:
    """Find the images with their places in the tree of their input, each once, sorted."""
    found: dict[str, tuple[AnyPath, Path]] = {}
    for name, path in inputs:
        hits: Sequence[tuple[AnyPath, Path]]
        if isinstance(path, RemotePath):
            hits = _remote_images(path, output)
        elif path.is_dir():
            hits = [(file, file.relative_to(path)) for file in _images_below(path, output)]
            if not hits:
                raise InputError(f"{printable(path)}: no {READABLE} images in this folder.")
        elif path.exists():
            hits = [(path, Path(path.name))]
        elif glob.has_magic(name):
            hits = _matches(name, output)
        else:
            raise InputError(f"{printable(path)}: no such file or folder.")
        for source, place in hits:
            found.setdefault(_key(source), (source, place))
    return sorted(found.values(), key=lambda hit: (isinstance(hit[0], RemotePath), hit))


def _images_below(folder: Path, output: AnyPath) -> Iterable[Path]:
    """Return the files below a folder with names of images."""
    return (file for file in _files_below(folder, output) if is_image_name(file))


def _files_below(folder: Path, output: AnyPath) -> Iterable[Path]:
    """Walk a folder for files, past hidden files and the output folder, if that lies deeper inside.

    Links to folders are followed, but no folder is entered twice.
    """

    def unreadable(error: OSError) -> None:
        raise InputError(f"{printable(error.filename)}: cannot be searched: {error.strerror}.") from error

    seen = {_key(output)} if _key(output) != _key(folder) else set()
    for place, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        # A link may lead back to a folder above, and the walk with it.
        folders[:] = [name for name in folders if not name.startswith(".") and _key(Path(place, name)) not in seen]
        seen.update(_key(Path(place, name)) for name in folders)
        yield from (Path(place, name) for name in files if not name.startswith("."))


def _remote_images(path: RemotePath, output: AnyPath) -> list[tuple[AnyPath, Path]]:
    """Find the image of a URL, or those below it; see `_remote_files`."""
    try:
        if path.is_file():
            return [(path, Path(path.name))]
        hits: list[tuple[AnyPath, Path]] = [
            (file, place) for file, place in _remote_files(path, output) if is_image_name(place)
        ]
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be searched: {error.strerror or error}.") from error
    if not hits:
        raise InputError(f"{printable(path)}: no {READABLE} images there.")
    return hits


def _remote_files(path: RemotePath, output: AnyPath) -> Iterable[tuple[RemotePath, Path]]:
    """List the files below a URL, past hidden names and the output folder, if that lies inside."""
    own = f"{output}/" if _key(output) != _key(path) else None
    for file in path.files():
        place = Path(file.url.removeprefix(f"{path}/"))
        hidden = any(part.startswith(".") for part in place.parts)
        if not hidden and not (own and file.url.startswith(own)):
            yield file, place


def _done(jobs: Sequence[Job], output: AnyPath) -> list[Job]:
    """Return the jobs whose output is there. A store lists all at once, where a question for each would take long."""
    if not isinstance(output, RemotePath) or len(jobs) == 1:
        return [job for job in jobs if exists(job.target)]
    there = set(output.files())
    return [job for job in jobs if job.target in there]


def _expand(pattern: str) -> list[Path]:
    """Return what a glob pattern matches."""
    return [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 (Path.glob's ** varies)


def _matches(pattern: str, output: AnyPath) -> list[tuple[Path, Path]]:
    """Expand a glob pattern; places are relative to its part before the first wildcard."""
    fixed = []
    for part in Path(pattern).parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    root = Path(*fixed)
    inside = [path for path in _expand(pattern) if path.is_file() and is_image_name(path)]
    hits = [(path, path.relative_to(root)) for path in inside if output not in path.parents]
    if not hits:
        raise InputError(f"{printable(pattern)}: no image matches this pattern.")
    return hits


def _without_own_outputs(jobs: list[Job], named: set[str]) -> list[Job]:
    """Leave out images that an earlier run made of another input, when a folder is its own output folder."""
    made = {_key(job.target) for job in jobs if _key(job.target) != _key(job.source)}
    return [job for job in jobs if _key(job.source) not in made or _key(job.source) in named]


def _check_collisions(jobs: list[Job], overwrite: bool) -> None:
    """Refuse two inputs for one output, and outputs that would replace inputs."""
    sources = {_key(job.source) for job in jobs}
    targets: dict[str, Job] = {}
    folded: dict[str, Job] = {}
    for job in jobs:
        key = _key(job.target)
        twin = folded.setdefault(key.casefold(), job)
        if twin is not job and key not in targets:
            both = f"{printable(twin.target)} and {printable(job.target)}"
            log.warning("%s differ only by case; on a file system that ignores it, one of them is lost.", both)
        if key in targets:
            both = f"{printable(targets[key].source)} and {printable(job.source)}"
            raise OptionError(f"{both} would both be written to {printable(job.target)}; upscale them separately.")
        targets[key] = job
        if key in sources and key != _key(job.source):
            raise OptionError(f"{printable(job.target)} is an input and would be an output too; use another `suffix`.")
        if key in sources and not overwrite:
            raise OptionError(f"{printable(job.source)} would be overwritten; use a `suffix`, or `overwrite` if meant.")


def _check_folder(folder: AnyPath) -> None:
    """Refuse a folder that cannot be made or written to, before hours of work; a store is not asked."""
    if isinstance(folder, RemotePath):
        return
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise OptionError(f"{printable(existing)} is no folder, so nothing can be written to {printable(folder)}.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OptionError(f"The folder {printable(existing)} cannot be written to; choose another `output`.")


def _key(path: AnyPath) -> str:
    """Return what two names of one file have in common."""
    return path.url if isinstance(path, RemotePath) else os.path.normcase(os.path.realpath(path))
