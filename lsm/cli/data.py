"""`lsm data`: sets downloaded, prepared, checked, and samples of degradations drawn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsm.cli.bars import progress_bars
from lsm.errors import OptionError

if TYPE_CHECKING:
    from lsm.data.catalog import Entry
    from lsm.data.check import Problem
    from lsm.data.datasets import ImageSet
    from lsm.data.prepare import Prepared

Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Processes.", show_default="all cores")]
_CORES = os.cpu_count() or 1


def check(
    root: Annotated[Path, typer.Argument(help="Folder of sets; or of HR, if LOW is given.")],
    low: Annotated[Path | None, typer.Argument(help="Folder of LR that belongs to a folder of HR.")] = None,
    sets: Annotated[str, typer.Option("--sets", help="Names, by commas.", show_default="all that are there")] = "",
    scales: Annotated[str, typer.Option("--scales", "--scale", help="Scales, by commas.")] = "2,3,4",
    jobs: Jobs = _CORES,
) -> None:
    """Check sets: unreadable files, wrong sizes, missing LR, LR of something else, shifted, or by another kernel.

    Names the first bad image and lists the others; leaves with 1 if there is any.
    """
    from lsm.data.check import check_set
    from lsm.data.datasets import find_set, pair_folders, parse_scales, set_names

    wanted = parse_scales(scales)
    if low is not None:
        if len(wanted) != 1:
            raise OptionError("For two folders give their one scale: --scale 4.")
        found = [pair_folders(root, low, wanted[0], root.name, incomplete=True)]
    else:
        names = [name.strip() for name in sets.split(",") if name.strip()] or set_names(root)
        found = [find_set(root, name, scale, incomplete=True) for name in names for scale in wanted]
        found = _distinct(found)
    if not found:
        raise OptionError(f"{root} holds no sets.")
    problems: list[Problem] = []
    for image_set in found:
        mine: list[Problem] = []
        with _bar(f"{image_set.name} ×{image_set.scale}") as advance:
            for done, texts in check_set(image_set, jobs):
                advance(done, len(image_set.pairs))
                mine += texts
        low_name = image_set.lr_folder.relative_to(root) if image_set.lr_folder and low is None else "none"
        about = f"LR {low_name}" if low is None else f"LR {low}"
        typer.echo(
            f"{image_set.name} ×{image_set.scale}: {len(image_set.pairs)} images, {about}: "
            f"{len(mine) or 'no'} problem{'' if len(mine) == 1 else 's'}"
        )
        problems += mine
    if problems:
        first = problems[0]
        typer.echo(f"First: {first.image_set} ×{first.scale}, {first.image}: {first.text}")
        for problem in problems[1:]:
            typer.echo(f"  {problem.image_set} ×{problem.scale}, {problem.image}: {problem.text}")
        raise typer.Exit(1)


def prepare(
    source: Annotated[Path, typer.Argument(help="Folder of HR images; nothing in it is changed.")],
    output: Annotated[Path, typer.Argument(help="Folder for HR, LR_bicubic/X… and the rest.")],
    scales: Annotated[str, typer.Option("--scales", "--scale", help="Scales of LR, by commas.")] = "2,3,4",
    sub_size: Annotated[
        int, typer.Option("--sub-size", "--sub_size", help="Also cut sub-images of this side, in HR pixels; 0: none.")
    ] = 0,
    sub_step: Annotated[
        int | None,
        typer.Option("--sub-step", "--sub_step", help="From one to the next.", show_default="half the size"),
    ] = None,
    sub_overlap: Annotated[
        int | None,
        typer.Option("--sub-overlap", "--sub_overlap", help="Or what they share: the size less the step."),
    ] = None,
    template: Annotated[str, typer.Option("--template", help="Names of LR files.")] = "{}x{scale}",
    real_sr: Annotated[
        bool, typer.Option("--real-sr", "--real_sr", help="Also make LR as real images are: the test real-sr-y.")
    ] = False,
    lmdb: Annotated[bool, typer.Option("--lmdb", help="Also make LMDBs as BasicSR reads them.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what was prepared in another way.")] = False,
    jobs: Jobs = _CORES,
) -> None:
    """Make a folder ready: HR cropped to a multiple, MATLAB bicubic LR, sub-images, LMDB, meta_info; restartable.

    Leaves with 1 if images are too small for what was asked; the others are done.
    """
    from lsm.data.datasets import parse_scales
    from lsm.data.prepare import PrepareOptions
    from lsm.data.prepare import prepare as run
    from lsm.data.real_sr import CONDITIONS

    if sub_step is not None and sub_overlap is not None:
        raise OptionError("Give --sub-step or --sub-overlap, not both: the one follows from the other.")
    if not sub_size and (sub_step is not None or sub_overlap is not None):
        raise OptionError("--sub-step and --sub-overlap need --sub-size.")
    if sub_overlap is not None:
        sub_step = sub_size - sub_overlap
    step = sub_size // 2 if sub_step is None else sub_step
    recipe = PrepareOptions(tuple(parse_scales(scales)), sub_size, step, template, real_sr)
    with _bar("images") as advance:
        prepared = run(source, output, recipe, jobs, overwrite, advance)
    folders = ["HR", *(f"LR_bicubic/X{scale}" for scale in recipe.scales)]
    if real_sr:
        folders += [
            f"{condition.folder}/X{scale}"
            for condition in CONDITIONS
            for scale in recipe.scales
            if not condition.is_clean
        ]
    folders += [f"{folder}_sub" for folder in folders] if sub_size else []
    for folder in folders:
        typer.echo(_side_files(output, folder, prepared, lmdb))
    small = [entry.name for entry in prepared if not entry.files]
    uncut = [entry.name for entry in prepared if entry.files and sub_size and not _has_subs(entry)]
    too_small = [(recipe.multiple, "left out", small), (sub_size, "without sub-images", uncut)]
    for side, outcome, names in too_small:
        if names:
            shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
            typer.echo(f"{len(names)} of {len(prepared)} images are smaller than {side}×{side} and {outcome}: {shown}")
    if any(names for _, _, names in too_small):
        raise typer.Exit(1)


def download(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Sets; none lists them.")] = None,
    root: Annotated[Path, typer.Option("--root", help="Folder of all sets.")] = Path("datasets"),
    mirror: Annotated[
        str | None, typer.Option("--mirror", help="Address of a folder that has the same files; hashes still hold.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archives after they are unpacked.")] = False,
) -> None:
    """Download sets from their owners: resumed where it stopped, sizes and hashes checked, unpacked safely."""
    from lsm.data.catalog import CATALOG, find_entry

    if not names:
        for entry in CATALOG:
            typer.echo(f"{entry.name}: {entry.about}\n  Licence: {entry.licence}")
        return
    entries = list(dict.fromkeys(find_entry(name) for name in names))
    missing = False
    for entry in entries:
        typer.echo(f"{entry.name}: {entry.about}\n  Licence: {entry.licence}")
        if entry.how_to_get:
            typer.echo(f"  Cannot be downloaded here. {entry.how_to_get}")
            missing = True
    parts = [find_entry(part) for entry in entries for part in entry.parts]
    _download(list(dict.fromkeys([*entries, *parts])), root, mirror, keep)
    for entry in entries:
        if entry.parts:
            _merge(entry, root)
    if missing:
        raise typer.Exit(1)


def degradations(
    config: Annotated[Path, typer.Option("-opt", "--opt", help="Config of a training on DegradedPairs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Image to write.")] = Path("degradations.png"),
    count: Annotated[int, typer.Option("--count", min=1, help="Samples.")] = 24,
    side: Annotated[int, typer.Option("--side", min=8, help="Side of a patch, in HR pixels.")] = 160,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another one gives other samples.")] = 0,
    force_yml: Annotated[
        list[str], typer.Option("--force_yml", "--force-yml", help="key:subkey=value, in place of the config's.")
    ] = [],  # noqa: B006  (typer reads it, nothing writes it)
) -> None:
    """Draw a sheet of samples of a training's degradations, each beside the clean patch, to look at."""
    from lsm.data.degrade.options import DegradationOptions
    from lsm.data.degrade.sheet import contact_sheet
    from lsm.data.pairs import list_images
    from lsm.image.io import write_image
    from lsm.training.image_schema import folders
    from lsm.training.options import read_options

    options = read_options(config, force_yml)
    settings = options["datasets"]["train"]
    if settings["type"] != "DegradedPairs":
        raise OptionError(f"{config}: datasets.train is of type {settings['type']}, which draws no degradations.")
    images = [image for folder in folders(settings["dataroot_gt"]) for image in list_images(Path(folder))]
    distribution = DegradationOptions(**settings["degradation"])
    write_image(output, contact_sheet(images, distribution, options["scale"], count, side, seed))
    typer.echo(f"{output}: {count} samples, clean on the left, degraded on the right")


def register(app: typer.Typer) -> None:
    """Add the commands to the `lsm` command."""
    group = typer.Typer(
        add_completion=False, no_args_is_help=True, help="Download, prepare, check and degrade sets of images."
    )
    for command in (check, prepare, download, degradations):
        group.command()(command)
    app.add_typer(group, name="data")


def _has_subs(entry: Prepared) -> bool:
    return any("_sub/" in name for name, _, _ in entry.files)


def _distinct(found: list[ImageSet]) -> list[ImageSet]:
    """Leave out scales without LR of their own, unless a set has none at all: its HR is then looked at once."""
    kept: list[ImageSet] = []
    for image_set in found:
        others = [other for other in found if other.name == image_set.name]
        folders = {(other.hr_folder, other.lr_folder) for other in kept}
        if image_set.lr_folder is None and any(other.lr_folder for other in others):
            continue
        if (image_set.hr_folder, image_set.lr_folder) not in folders:
            kept.append(image_set)
    return kept


def _side_files(output: Path, folder: str, prepared: list[Prepared], lmdb: bool) -> str:
    """Write the list of a folder, and its LMDB if wanted; say what was made."""
    from lsm.data.lmdb import files_in, write_lmdb, write_meta_info

    files = files_in(prepared, folder)
    flat = folder.replace("/", "_")
    write_meta_info(files, output / f"meta_info_{flat}.txt")
    made = [f"meta_info_{flat}.txt"]
    if lmdb and files:
        # HR and LR of an image must have the same key: that of HR.
        twins = files_in(prepared, "HR_sub" if folder.endswith("_sub") else "HR")
        with _bar(f"{flat}.lmdb") as advance:
            write_lmdb(output, files, [Path(name).stem for name, _, _ in twins], output / f"{flat}.lmdb", advance)
        made.append(f"{flat}.lmdb")
    return f"{output / folder}: {len(files)} images; {', '.join(made)}"


def _download(entries: list[Entry], root: Path, mirror: str | None, keep: bool) -> None:
    """Fetch every archive once, however many sets are in it, and unpack what was asked for."""
    import dataclasses

    from lsm.data.archives import extract
    from lsm.data.download import fetch

    members: dict[object, list[str]] = {}
    for entry in entries:
        for archive in entry.archives:
            members.setdefault(archive, []).extend(entry.members)
    for entry in entries:
        for archive in entry.archives:
            if archive not in members:
                continue
            wanted = members.pop(archive)
            source = dataclasses.replace(archive, url=f"{mirror.rstrip('/')}/{archive.name}") if mirror else archive
            with _bar(archive.name, in_bytes=True) as advance:
                path, sha256 = fetch(source, root / "downloads", advance)
            known = "as published" if archive.sha256 or archive.md5 else "no hash is published"
            typer.echo(f"{path.name}: SHA-256 {sha256}, {known}")
            with _bar("unpacking") as advance:
                files = extract(path, root, wanted, advance, archive.place)
            folders = sorted({str(file.parent) for file in files})
            typer.echo(f"{path.name}: {len(files)} files in {', '.join(folders)}")
            if not keep:
                path.unlink()


def _merge(entry: Entry, root: Path) -> None:
    """Make a set of others, and say what it holds."""
    from lsm.data.catalog import find_entry
    from lsm.data.merge import merge_sets

    with _bar(entry.name) as advance:
        counts = merge_sets([root / find_entry(part).folder for part in entry.parts], root / entry.folder, advance)
    about = ", ".join(f"{folder} {count} images" for folder, count in counts.items())
    typer.echo(f"{root / entry.folder}: {about}")


@contextmanager
def _bar(title: str, in_bytes: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on the terminal; it takes what is done and what there is in all."""
    from rich.progress import DownloadColumn

    with progress_bars(count=DownloadColumn() if in_bytes else None) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
