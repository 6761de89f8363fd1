"""BasicSR mended and built: a stand-in with those lines of its setup script, from a folder in place of an index."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile

import pytest

from lsm.cli import main
from lsm.errors import LSMError
from lsm.training import basicsr_build

SETUP = """
from setuptools import setup

version_file = 'basicsr/version.py'


def get_version():
    with open(version_file, 'r') as f:
        exec(compile(f.read(), version_file, 'exec'))
    return locals()['__version__']


setup(name='basicsr', version=get_version(), packages=['basicsr'],
    setup_requires=['cython', 'numpy', 'torch'],
    )
"""


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip looks into rather than into an index, with a source that cannot be built on any Python."""
    folder = tmp_path / "index"
    folder.mkdir()
    files = {
        "setup.py": SETUP.replace("locals()", "{}" if sys.version_info < (3, 13) else "locals()"),
        "PKG-INFO": "Metadata-Version: 2.1\nName: basicsr\nVersion: 1.4.2\n",
        "basicsr/__init__.py": "",
        "basicsr/version.py": "__version__ = '1.4.2'\n",
    }
    archive = folder / "basicsr-1.4.2.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for name, text in files.items():
            info = tarfile.TarInfo(f"basicsr-1.4.2/{name}")
            info.size = len(text)
            packed.addfile(info, io.BytesIO(text.encode()))
    monkeypatch.setattr(basicsr_build, "SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    if sys.version_info < (3, 13):  # the stand-in fails where the original still works
        (old, new), requires = basicsr_build.MENDED
        monkeypatch.setattr(basicsr_build, "MENDED", ((old.replace("locals()", "{}"), new), requires))
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(folder)), ("NO_BUILD_ISOLATION", "0")):
        monkeypatch.setenv(f"PIP_{name}", value)
    return archive


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code or 0


def test_a_source_that_cannot_be_built_is_fetched_mended_and_built(index, tmp_path, capsys):
    assert run("install-basicsr", "--wheel", tmp_path / "wheels") == 0
    wheel = tmp_path / "wheels" / "basicsr-1.4.2-py3-none-any.whl"
    assert capsys.readouterr().out.strip() == str(wheel)
    assert zipfile.ZipFile(wheel).read("basicsr/version.py").decode() == "__version__ = '1.4.2'\n"


def test_the_hash_of_what_pip_fetches_is_checked(index, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(basicsr_build, "SHA256", "0" * 64)
    assert run("install-basicsr", "--wheel", tmp_path / "wheels") == 2
    said = capsys.readouterr().err
    assert "pip could not fetch basicsr 1.4.2" in said and "DO NOT MATCH THE HASHES" in said


def test_a_file_of_the_user_must_be_the_published_one(index, tmp_path, capsys):
    folder = basicsr_build._unpack(index, tmp_path / "work")
    assert (folder / "basicsr" / "version.py").is_file()
    index.write_bytes(index.read_bytes() + b"\0")
    assert run("install-basicsr", "--source", index) == 2
    assert "is not the published basicsr-1.4.2.tar.gz: SHA-256 " in capsys.readouterr().err


def test_another_setup_script_is_not_touched(tmp_path):
    script = tmp_path / "setup.py"
    script.write_text("import setuptools\n")
    with pytest.raises(LSMError, match=r"is not the setup script of BasicSR 1\.4\.2"):
        basicsr_build.mend(script)
    assert script.read_text() == "import setuptools\n"


def test_the_mended_function_returns_the_version_without_locals(tmp_path):
    script = tmp_path / "setup.py"
    script.write_text(SETUP)
    basicsr_build.mend(script)
    (tmp_path / "basicsr").mkdir()
    (tmp_path / "basicsr" / "version.py").write_text("__version__ = 'of another file'")
    function = script.read_text().split("\nsetup(")[0].replace("from setuptools import setup", "")
    said = subprocess.run(
        [sys.executable, "-c", f"{function}\nprint(get_version())"], cwd=tmp_path, capture_output=True, text=True
    )
    assert said.stdout == "1.4.2\n"
    assert "setup_requires" not in script.read_text()


def test_an_environment_without_pip_is_explained(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LSMError, match="pip is not installed in this environment"):
        basicsr_build.install()
