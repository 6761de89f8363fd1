"""The hash of the code that decides a figure, on copies of the package that are edited."""

import re
import shutil

import pytest

from lsm.profiling import code_hash as module
from lsm.profiling.code_hash import PACKAGE, code_hash, imported_modules

ROOT = "lsm.benchmark.evaluate"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Return a copy of the package's sources, which is hashed instead of it."""
    shutil.copytree(PACKAGE, tmp_path / "lsm", ignore=shutil.ignore_patterns("__pycache__", "embedded"))
    monkeypatch.setattr(module, "PACKAGE", tmp_path / "lsm")
    return tmp_path / "lsm"


def edit(path):
    with path.open("a", encoding="utf-8") as file:
        file.write("\n# edited\n")


def test_what_only_calls_the_benchmark_does_not_change_its_hash(copy):
    before = code_hash.__wrapped__(ROOT)
    for folder in ("batch", "demo", "cli", "training", "ablation", "video", "audio", "export"):
        sources = list((copy / folder).glob("*.py"))
        assert sources
        for path in sources:
            edit(path)
    for name in ("profiling/doctor.py", "benchmark/html.py", "benchmark/runner.py", "data/download.py", "__init__.py"):
        edit(copy / name)
    assert code_hash.__wrapped__(ROOT) == before


def test_what_computes_a_figure_does(copy):
    edited = ["scan/blocked.py", "mixers/window_attention.py", "arch/network.py", "image/resize.py"]
    hashes = {code_hash.__wrapped__(ROOT)}
    for name in [*edited, "metrics/fidelity.py"]:
        edit(copy / name)
        hashes.add(code_hash.__wrapped__(ROOT))
    assert len(hashes) == 1 + len(edited) + 1


def test_all_mixers_upscaling_and_weights_are_covered():
    found = imported_modules(PACKAGE, ROOT)
    for folder in ("scan", "mixers/zoo", "arch", "metrics"):
        modules = {f"lsm.{folder}.{path.stem}".replace("/", ".") for path in (PACKAGE / folder).glob("[!_]*.py")}
        assert modules - found.keys() <= {"lsm.arch.budget", "lsm.metrics.perceptual"}  # of validations
    assert found.keys() >= {"lsm.inference.upscaler", "lsm.inference.tiling", "lsm.weights.load", "lsm.data.pairs"}
    # Nothing of it takes a name from the outermost package, whose imports are not followed.
    assert not [path for path in found.values() if re.search(r"^\s*from lsm import", path.read_text("utf-8"), re.M)]


def test_every_form_of_import_is_followed(tmp_path):
    sources = {
        "__init__": "from toy import public",
        "public": "",
        "a": "import toy.b\nfrom toy import c, something\nimport numpy",
        "b": "def late():\n    from .inner.d import value",
        "c": "if TYPE_CHECKING:\n    from toy import hints\nelse:\n    import toy.e",
        "e": "import toy.a",
        "hints": "",
        "unused": "",
        "inner/__init__": "from . import f\nif TYPE_CHECKING:\n    from toy.inner import lazy",
        "inner/d": "",
        "inner/f": "",
        "inner/lazy": "",
    }
    package = tmp_path / "toy"
    (package / "inner").mkdir(parents=True)
    for name, text in sources.items():
        (package / f"{name}.py").write_text(text)
    names = {"toy.a", "toy.b", "toy.c", "toy.e", "toy.inner", "toy.inner.d", "toy.inner.f", "toy.inner.lazy"}
    assert imported_modules(package, "toy.a").keys() == names
