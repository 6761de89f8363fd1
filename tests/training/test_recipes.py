"""Configs by name, in a source tree and in an installed package."""

import sys
from pathlib import Path

import pytest
import yaml

from lsm.cli import main
from lsm.errors import InputError, OptionError
from lsm.training import recipes

OPTIONS = Path(__file__).parents[2] / "options"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["options", *arguments])
    return left.value.code or 0


def test_all_files_of_the_repository_are_listed_with_what_they_are_for(capsys):
    assert run("list") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == {f"{path.parent.name}/{path.stem}" for path in OPTIONS.glob("*/*.yml")}
    assert lines["train/light_x2_scratch"] == "LSM-light x2 from scratch on DIV2K: stage one of the recipe"


def test_a_name_copies_what_trains_and_what_tests_and_nothing_is_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("copy", "tiny_x4") == 0
    for kind in ("train", "test"):
        assert Path(f"options/{kind}/tiny_x4.yml").read_bytes() == (OPTIONS / kind / "tiny_x4.yml").read_bytes()
    changed = Path("options/train/tiny_x4.yml")
    changed.write_text("mine")
    assert run("copy", "train/tiny_x4", "light_x2") == 2
    assert "exists already" in capsys.readouterr().err
    assert changed.read_text() == "mine" and not Path("options/test/light_x2.yml").exists()
    assert run("copy", "train/tiny_x4.yml", "--overwrite") == 0
    assert yaml.safe_load(changed.read_text())["scale"] == 4


def test_patterns_and_unknown_names():
    assert set(recipes.select(["train/s_*_scratch"])) == {f"train/s_x{scale}_scratch" for scale in (2, 3, 4)}
    with pytest.raises(OptionError, match=r"Did you mean 'tiny_x4'\?"):
        recipes.select(["tinyx4"])
    with pytest.raises(OptionError, match="train/tiny_x4"):
        recipes.select(["train/tinyx4"])


def test_an_installed_package_has_its_own_files_and_one_without_says_so(tmp_path, monkeypatch):
    module = tmp_path / "lsm" / "training" / "recipes.py"
    monkeypatch.setattr(recipes, "__file__", str(module))
    with pytest.raises(InputError, match="no configs"):
        recipes.recipes()
    for folder in (
        tmp_path / "options",
        tmp_path / "lsm" / "options",
    ):  # a stray folder of that name, and the package's
        (folder / "train").mkdir(parents=True)
        (folder / "train" / "a.yml").write_text(f"# {folder.parent.name}: told. More.\n")
        found = recipes.recipes()
    assert found == {"train/a": tmp_path / "lsm" / "options" / "train" / "a.yml"}
    assert recipes.summary(found["train/a"]) == "lsm: told"


def test_listing_needs_no_torch():
    code = "import sys; from lsm.training import recipes; recipes.recipes(); sys.exit('basicsr' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
