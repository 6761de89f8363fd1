"""Archives made to hurt: members that point outside, links, bombs, and damaged bytes."""

from __future__ import annotations

import functools
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

from stress.bombs import archive_bombs
from stress.mutants import mutate
from stress.section import Section
from stress.watch import Outcome, watched

NAMES = ("../evil", "a/../../evil", "/evil", "//evil", "C:\\evil", "a\\..\\..\\evil", "C:evil", "a/b:stream", "..")
LINKS = {"symbolic": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE}


def run(section: Section) -> None:
    """Try traversal, links, 1 GB of zeros and 1,000 damaged archives."""
    place = section.folder
    files = {f"name-{number}.tar": _tar(name) for number, name in enumerate(NAMES)}
    files |= {f"name-{number}.zip": _zip(name) for number, name in enumerate(NAMES)}
    files |= {f"{name}.tar": _tar("a.png", kind) for name, kind in LINKS.items()}
    outcomes, faults = watched(functools.partial(try_archive, place), list(files.items()), place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind != "refused"]
    evidence = f"{len(files)} archives, nothing outside the folder; {bad} {faults}"
    section.check("members that point outside, links and devices are refused", not bad and not faults, evidence)
    bombs = {path.name: path.read_bytes() for path in archive_bombs(place).values()}
    outcomes, faults = watched(functools.partial(try_archive, place), list(bombs.items()), place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind != "refused"]
    sizes = ", ".join(f"{name} of {len(data) / 1e6:.1f} MB" for name, data in bombs.items())
    section.check("bombs are refused before they unpack", not bad and not faults, f"{sizes}; {bad} {faults}")
    rng, tries = section.random(), []
    whole = {"a.zip": _zip("a.png"), "a.tar": _tar("a.png"), "a.tar.gz": _tar("a.png", mode="w:gz")}
    for number in range(section.times(1000)):
        name = sorted(whole)[number % 3]
        tries.append((f"{number}-{name}", mutate(whole[name], whole[rng.choice(sorted(whole))], rng)))
    outcomes, faults = watched(functools.partial(try_archive, place), tries, place / "stderr.txt")
    bad = [said for kind, said in outcomes if kind == "wrong"]
    refused = sum(kind == "refused" for kind, _ in outcomes)
    evidence = f"{len(tries)} archives, {refused} refused; {bad[:5]} {faults[:5]}"
    section.check("damaged archives are unpacked or refused in one line", not bad and not faults, evidence)


def try_archive(place: Path, item: tuple[str, bytes]) -> Outcome:
    """Unpack an archive three folders deep, and see that nothing else changes."""
    from lsm.data.archives import extract
    from lsm.errors import InputError

    top = place / "top"
    target = top / "deep" / "out"
    target.mkdir(parents=True)
    archive = place / item[0]
    archive.write_bytes(item[1])
    try:
        extract(archive, target)
        outcome = "unpacked", item[0]
    except InputError as error:
        outcome = ("refused" if "\n" not in str(error) else "wrong"), str(error)
    except BaseException as error:  # what must not happen
        outcome = "wrong", f"{item[0]}: {type(error).__name__}: {str(error)[:200]}"
    outside = [path for path in top.rglob("*") if path not in (target, target.parent) and target not in path.parents]
    evil = [path for path in (Path("/evil"), place / "evil") if path.exists()]
    links = [path for path in target.rglob("*") if path.is_symlink()]
    shutil.rmtree(top)
    archive.unlink()
    return ("wrong", f"{item[0]}: {outside} {evil} {links}") if outside or evil or links else outcome


def _tar(name: str, kind: bytes = tarfile.REGTYPE, mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for member, data in (("good.png", bytes(range(256)) * 8), (name, b"evil")):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            if member == name and kind != tarfile.REGTYPE:
                info.type, info.linkname, info.size = kind, "../../../evil", 0
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _zip(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", bytes(range(256)) * 8)
        archive.writestr(name, b"evil")
    return file.getvalue()
