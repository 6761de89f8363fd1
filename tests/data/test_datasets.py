import time

import pytest

from lsm.data.datasets import canonical_name, find_set, parse_scales, set_names
from lsm.data.pairs import match_lr
from lsm.errors import InputError, OptionError


def _touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    ("high", "low", "template"),
    [
        ("HR", "LR_bicubic/X4", "{}x4.png"),
        ("HR", "LR_bicubic/X4", "{}.png"),
        ("HR_x4", "LR_x4", "{}.png"),
        ("GTmod4", "LRbicx4", "{}.png"),
        ("GTmod12", "LRbicx4", "{}x4.bmp"),
        ("hr", "lr_bicubic/x4", "{}_LRBI_x4.png"),
        ("GT", "LRBI/x4", "{}_LRBI_x4.png"),
    ],
)
def test_layouts(tmp_path, high, low, template):
    _touch(tmp_path / "set5" / high, "baby.png", "bird.png", "notes.txt", ".hidden.png")
    _touch(tmp_path / "set5" / low, *(template.format(stem) for stem in ("baby", "bird")))
    found = find_set(tmp_path, "Set5", 4)
    assert found.name == "Set5"
    assert [pair.name for pair in found.pairs] == ["baby", "bird"]
    assert [pair.lr.name for pair in found.pairs] == [template.format(stem) for stem in ("baby", "bird")]


def test_manga109_names_lose_their_ending(tmp_path):
    _touch(tmp_path / "Manga109" / "HR", "ARMS_HR_x4.png")
    _touch(tmp_path / "Manga109" / "LR_bicubic" / "X4", "ARMS_LRBI_x4.png")
    assert find_set(tmp_path, "manga109", 4).pairs[0].lr.name == "ARMS_LRBI_x4.png"


def test_a_folder_for_the_scale_wins_over_the_general_one(tmp_path):
    _touch(tmp_path / "Set5" / "HR", "a.png")
    _touch(tmp_path / "Set5" / "HR_x3", "a.png")
    assert find_set(tmp_path, "Set5", 3).hr_folder.name == "HR_x3"
    assert find_set(tmp_path, "Set5", 2).hr_folder.name == "HR"
    assert find_set(tmp_path, "Set5", 2).pairs[0].lr is None


@pytest.mark.parametrize("spelling", ["B100", "BSD100", "BSDS100", "bsd100", "b-100", "BSDS_100"])
def test_names_of_b100(tmp_path, spelling):
    _touch(tmp_path / spelling / "HR", "1.png")
    assert find_set(tmp_path, "B100", 2).name == "B100"
    assert find_set(tmp_path, "bsds100", 2).hr_folder == tmp_path / spelling / "HR"
    assert set_names(tmp_path) == ["B100"]


def test_other_names_are_kept():
    assert canonical_name("Urban30") == "Urban30"
    assert canonical_name("URBAN100") == "Urban100"


def test_owners_packing_and_nested_roots(tmp_path):
    _touch(tmp_path / "DIV2K" / "DIV2K_valid_HR", "0801.png")
    _touch(tmp_path / "DIV2K" / "DIV2K_valid_LR_bicubic" / "X2", "0801x2.png")
    _touch(tmp_path / "SR" / "Set14" / "HR", "a.png")
    _touch(tmp_path / "plain", "b.png")
    assert set_names(tmp_path) == ["DIV2K_valid", "Set14", "plain"]
    assert find_set(tmp_path, "DIV2K_valid", 2).pairs[0].lr.name == "0801x2.png"
    assert find_set(tmp_path, "set14", 2).pairs[0].name == "a"
    assert find_set(tmp_path, "plain", 2).hr_folder == tmp_path / "plain"


def test_the_root_may_be_the_set(tmp_path):
    _touch(tmp_path / "Set5" / "HR", "a.png")
    assert find_set(tmp_path / "Set5", "Set5", 2).pairs[0].name == "a"
    assert set_names(tmp_path / "Set5") == ["Set5"]


def test_missing_low_resolution_names_the_file(tmp_path):
    _touch(tmp_path / "Set5" / "HR", "a.png", "b.png", "c.png")
    _touch(tmp_path / "Set5" / "LR_bicubic" / "X2", "ax2.png", "cx2.png")
    with pytest.raises(InputError, match=r"'b'.*1 of 3 missing"):
        find_set(tmp_path, "Set5", 2)


def test_the_template_of_most_files_is_taken(tmp_path):
    high = [tmp_path / f"{stem}.png" for stem in "abc"]
    _touch(tmp_path / "low", "a.png", "ax4.png", "bx4.png", "cx4.png")
    assert [path.name for path in match_lr(high, tmp_path / "low", 4)] == ["ax4.png", "bx4.png", "cx4.png"]


def test_the_same_stem_twice_is_refused(tmp_path):
    _touch(tmp_path / "Set5" / "HR", "a.png", "a.jpg")
    with pytest.raises(InputError, match="twice"):
        find_set(tmp_path, "Set5", 2)


def test_unknown_sets_and_roots(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_set(tmp_path / "nowhere", "Set5", 2)
    with pytest.raises(InputError, match="holds no sets"):
        find_set(tmp_path, "Set5", 2)
    _touch(tmp_path / "Set14" / "HR", "a.png")
    with pytest.raises(InputError, match="Did you mean 'Set14'"):
        find_set(tmp_path, "Set15", 2)


def test_scales():
    assert parse_scales("2,x4, 3,2") == [2, 4, 3]
    for text in ("1", "two", "", "4,,2", "2.5"):
        with pytest.raises(OptionError):
            parse_scales(text)


def test_ten_thousand_files_are_listed_and_paired(tmp_path):
    _touch(tmp_path / "big" / "HR", *(f"{i:05d}.png" for i in range(10_000)))
    _touch(tmp_path / "big" / "LR_bicubic" / "X2", *(f"{i:05d}x2.png" for i in range(10_000)))
    start = time.perf_counter()
    found = find_set(tmp_path, "big", 2)
    print(f"10,000 pairs listed in {time.perf_counter() - start:.2f} s")
    assert len(found.pairs) == 10_000
    assert found.pairs[-1].lr.name == "09999x2.png"
