"""An editable install shows its types to type checkers, and a clone's folder named like the package hides nothing."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A clone with the package's first file, and a folder of installed packages into which it is put as editable."""
    pytest.importorskip("setuptools", minversion="77")
    clone, packages = tmp_path_factory.mktemp("clones") / "lsm", tmp_path_factory.mktemp("packages")
    (clone / "lsm").mkdir(parents=True)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "lsm/__init__.py", "lsm/py.typed"):
        shutil.copy(ROOT / name, clone / name)
    build = f"from setuptools import build_meta; build_meta.build_editable({str(packages)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=clone, check=True, capture_output=True)
    [wheel] = packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return clone, packages


def test_it_is_a_path_and_no_hook(installed):
    clone, packages = installed
    [path] = packages.glob("*.pth")
    assert Path(path.read_text().strip()).resolve() == clone
    assert not list(packages.glob("*finder*"))


def test_a_clone_beside_python_does_not_hide_the_package(installed):
    clone, packages = installed
    code = (
        f"import site; site.addsitedir({str(packages)!r}); import importlib.util as i; print(i.find_spec('lsm').origin)"
    )
    command = [sys.executable, "-S", "-c", code]  # the folder it runs in comes first on the path
    found = subprocess.run(command, cwd=clone.parent, check=True, capture_output=True, text=True, env={}).stdout
    assert Path(found.strip()).resolve() == clone / "lsm/__init__.py"


def test_a_type_checker_follows_it(installed, tmp_path):
    pytest.importorskip("mypy")
    clone, packages = installed
    (clone / "lsm/__init__.py").write_text("def answer() -> int:\n    return 42\n")
    (tmp_path / "user.py").write_text("import lsm\nreveal_type(lsm.answer())\n")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    [site_packages] = environment.rglob("site-packages")
    shutil.copytree(packages, site_packages, dirs_exist_ok=True)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [sys.executable, "-m", "mypy", "--python-executable", python, "--no-incremental", "user.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert 'Revealed type is "int"' in said or 'Revealed type is "builtins.int"' in said, said
