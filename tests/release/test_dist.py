"""What is built: equal bytes, all that the tests need, configs in the wheel, and a page an index can show."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from lsm.errors import OptionError

pytest.importorskip("setuptools", minversion="77", reason="setuptools (extra `dev`) is not installed")
import release

ROOT = Path(__file__).parents[2]
HOST_ALONE = (".github/", ".gitignore", ".git-blame-ignore-revs")
"""What git tracks and the source archive leaves out."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both archives; by suffix."""
    folder = tmp_path_factory.mktemp("dist")
    release.build_once(ROOT, folder, 1_700_000_000)
    return {file.suffix: file for file in folder.iterdir()}


def sources(built: dict[str, Path]) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(built[".gz"]) as archive:
        return {member.name.split("/", 1)[1]: member for member in archive.getmembers() if member.isfile()}


def test_a_tree_touched_at_another_time_gives_the_same_bytes(built, tmp_path):
    """The archives are built again from what is in the source archive, under other dates, owners and modes."""
    with tarfile.open(built[".gz"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    for made in ("setup.cfg", "PKG-INFO", "lsm_sr.egg-info"):  # by the build: no part of the tree
        shutil.rmtree(tree / made) if (tree / made).is_dir() else (tree / made).unlink()
    for path in tree.rglob("*.py"):
        os.utime(path, (0, 1_500_000_000))
    again = release.build_once(tree, tmp_path / "again", 1_700_000_000)
    assert again == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in built.values()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_the_source_archive_holds_what_git_tracks_and_nothing_else(built):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    expected = {name for name in tracked.stdout.splitlines() if (ROOT / name).is_file()}
    expected = {name for name in expected if not name.startswith(HOST_ALONE)}
    made = {"PKG-INFO", "setup.cfg"}
    held = {name for name in sources(built) if not name.startswith("lsm_sr.egg-info/")}
    assert held - made == expected


def test_nothing_of_the_builder_is_in_the_source_archive(built):
    members = sources(built).values()
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert {member.mtime for member in members} == {1_700_000_000}
    assert {member.mode for member in members} <= {0o644, 0o755}


def test_the_wheel_holds_the_package_with_its_option_files_and_weights_and_no_tests(built):
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = set(wheel.namelist())
        for path in ROOT.glob("options/*/*.yml"):
            inside = f"lsm/{path.relative_to(ROOT).as_posix()}"
            assert wheel.read(inside) == path.read_bytes()
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lsm").rglob("*") if path.is_file()}
    package = {name for name in files if "__pycache__" not in name}
    assert {name for name in names if not name.startswith(("lsm_sr-", "lsm/options/"))} == package
    assert {name.split("/")[0].split("-")[0] for name in names} == {"lsm", "lsm_sr"}


def test_a_user_of_the_wheel_alone_has_the_option_files(built, tmp_path):
    with zipfile.ZipFile(built[".whl"]) as wheel:
        wheel.extractall(tmp_path / "site")
    code = "import lsm.cli; lsm.cli.main(['options', 'copy', 'tiny_x4'])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    copied = (tmp_path / "options" / "train" / "tiny_x4.yml").read_bytes()
    assert copied == (ROOT / "options" / "train" / "tiny_x4.yml").read_bytes()


def test_the_page_for_an_index_has_no_relative_images_or_links(built):
    with zipfile.ZipFile(built[".whl"]) as wheel:
        (name,) = [each for each in wheel.namelist() if each.endswith("METADATA")]
        head, page = wheel.read(name).decode().split("\n\n", 1)
    targets = re.findall(r"\]\(([^)]*)\)", page)
    assert targets and all(target.startswith("https://") for target in targets)
    assert page.lstrip().startswith("# ") and "Description-Content-Type: text/markdown" in head
    assert f"Version: {release.stated_version((ROOT / 'pyproject.toml').read_text())}\n" in head


def test_an_index_would_take_it(built):
    pytest.importorskip("twine", reason="twine (extra `dev`) is not installed")
    from twine.commands.check import check

    assert check([str(file) for file in built.values()], strict=True) is False  # False: nothing failed


def test_the_version_stands_once_and_is_dated_before_a_release():
    assert release.stated_version('name = "a"\nversion = "1.2.3"\n') == "1.2.3"
    assert release.release_date("# Changelog\n\n## 1.2.3, 2026-11-25\n", "1.2.3") == "2026-11-25"
    with pytest.raises(OptionError, match=r"## 1\.2\.3, YEAR"):
        release.release_date("# Changelog\n\n## 1.2.3, unofficial\n## 1.2.30, 2026-11-25\n", "1.2.3")
    version = release.stated_version((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"\n## {version}, " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    tracked = [path for path in (ROOT / "lsm").rglob("*.py") if f'"{version}"' in path.read_text(encoding="utf-8")]
    assert tracked == []
