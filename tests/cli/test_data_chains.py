"""What is downloaded and prepared lies where configs and docs look for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import stand_ins
import yaml
from PIL import Image

from lsm.cli import main
from lsm.data.datasets import find_set, set_names
from lsm.data.merge import merge_sets
from lsm.errors import InputError
from lsm.training.recipes import recipes

# A network and a training that take a second.
QUICK = (
    "network_g:variant=tiny",
    "network_g:embed_dim=8",
    "network_g:depths=[2]",
    "network_g:d_state=2",
    "num_gpu=0",
    "train:total_iter=1",
    "datasets:train:gt_size=24",
    "datasets:train:batch_size=1",
    "datasets:train:num_worker_per_gpu=0",
)


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    said = capfd.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, and a server of stand-ins."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    with stand_ins.served(tmp_path / "served", monkeypatch):
        yield tmp_path / "desk"


def test_every_set_lies_where_the_recipes_look(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capfd, "data", "download", "DF2K", "DIV2K_valid", "Set5", "Set14", "B100", "Urban100")
    assert code == 0
    assert "datasets/DF2K: HR 4 images, LR_bicubic/X2 4 images, LR_bicubic/X3 4 images" in said
    (desk / "Manga109").mkdir()
    Image.fromarray(stand_ins.image(9)).save(desk / "Manga109" / "ARMS.png")
    assert run(capfd, "data", "prepare", "Manga109", "datasets/SR/Manga109", "--jobs", 1)[0] == 0
    looked_at = set()
    for file in recipes().values():
        for settings in yaml.safe_load(file.read_text())["datasets"].values():
            looked_at |= {settings[key] for key in ("dataroot_gt", "dataroot_lq") if key in settings}
    not_downloaded = {folder for folder in looked_at if "BSDS400" in folder or "photos" in folder}
    assert {folder for folder in looked_at if not (desk / folder).is_dir()} == not_downloaded
    sets = ["B100", "DF2K", "DIV2K", "DIV2K_valid", "Flickr2K", "Manga109", "Set14", "Set5", "Urban100"]
    assert set_names(desk / "datasets") == sets
    assert all(find_set(desk / "datasets", name, scale).lr_folder for name in sets for scale in (2, 3, 4))
    assert run(capfd, "data", "check", "datasets", "--jobs", 1)[0] == 0
    merged, linked = desk / "datasets/DF2K/HR/000001.png", desk / "datasets/Flickr2K/HR/000001.png"
    assert merged.samefile(linked)
    assert not list(desk.glob("datasets/**/*unknown*"))


@pytest.mark.parametrize(("name", "recipe"), [("DIV2K", "light_x2_scratch"), ("DF2K", "base_x2_scratch")])
def test_a_download_can_be_trained_on(desk: Path, name: str, recipe: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, "data", "download", name, "Set5")[0] == 0
    assert run(capfd, "options", "copy", recipe)[0] == 0
    code, _, said = run(capfd, "train", "-opt", f"options/train/{recipe}.yml", "--force_yml", *QUICK)
    assert code == 0, said
    assert list(desk.glob("experiments/*/models/net_g_latest.pth"))


def test_a_test_measures_what_is_there_and_says_what_is_not(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    test = ("test", "-opt", "options/test/tiny_x4.yml")
    run(capfd, "options", "copy", "test/tiny_x4")
    code, _, said = run(capfd, *test)
    assert code == 2 and "none of its sets is there: datasets/SR/Set5/HR, " in said and len(said.splitlines()) == 1
    run(capfd, "data", "download", "Set5", "B100")
    code, _, said = run(capfd, *test, "--force_yml", "num_gpu=0")
    assert code == 0
    for name in ("Set14", "Urban100", "Manga109"):
        assert f"{name} is left out: there is no folder datasets/SR/{name}/HR." in said
    measured = yaml.safe_load(Path("results/LSM-tiny_x4/metrics.yml").read_text())
    assert measured.keys() == {"Set5", "B100"}
    code, _, said = run(capfd, *test, "--require-all")
    assert code == 2 and "datasets.test_2.dataroot_gt: the folder datasets/SR/Set14/HR does not exist" in said


def test_a_test_of_one_set(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    test = ("test", "-opt", "options/test/tiny_x4.yml", "--force_yml", "num_gpu=0", "--sets")
    run(capfd, "options", "copy", "test/tiny_x4")
    run(capfd, "data", "download", "Set5", "B100")
    assert run(capfd, *test, "bsd100", "--require-all")[0] == 0
    assert yaml.safe_load(Path("results/LSM-tiny_x4/metrics.yml").read_text()).keys() == {"B100"}
    code, _, said = run(capfd, *test, "Set15")
    assert code == 2 and "Unknown dataset 'Set15'. Did you mean 'Set5'?" in said


def test_sets_of_the_same_names_are_not_merged(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "HR").mkdir(parents=True)
        Image.fromarray(stand_ins.image(1)).save(tmp_path / name / "HR" / "1.png")
    with pytest.raises(InputError, match=r"have the same name"):
        merge_sets([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    (tmp_path / "b" / "HR" / "1.png").rename(tmp_path / "b" / "HR" / "2.png")
    (tmp_path / "b" / "LR_bicubic" / "X2").mkdir(parents=True)
    Image.fromarray(stand_ins.image(1)).save(tmp_path / "b" / "LR_bicubic" / "X2" / "2x2.png")
    with pytest.raises(InputError, match=r"a: has no LR_bicubic/X2"):
        merge_sets([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_merged_sets_are_copied_where_links_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "a" / "HR").mkdir(parents=True)
    Image.fromarray(stand_ins.image(1)).save(tmp_path / "a" / "HR" / "1.png")
    assert merge_sets([tmp_path / "a"], tmp_path / "b") == {"HR": 1}
    assert (tmp_path / "b/HR/1.png").read_bytes() == (tmp_path / "a/HR/1.png").read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "1 of 2 images are smaller than 12×12 and left out: small.png"),
        (("--sub-size", 480), "1 of 2 images are smaller than 480×480 and without sub-images: large.png"),
    ],
)
def test_images_too_small_to_prepare_are_said(
    tmp_path: Path, options: tuple[object, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    Image.fromarray(stand_ins.image(1)).save(tmp_path / "mine" / "large.png")
    Image.fromarray(np.zeros((5, 9, 3), np.uint8)).save(tmp_path / "mine" / "small.png")
    code, out, _ = run(capfd, "data", "prepare", tmp_path / "mine", tmp_path / "out", "--jobs", 1, *options)
    assert code == 1 and said in out
    assert (tmp_path / "out" / "HR" / "large.png").is_file()
