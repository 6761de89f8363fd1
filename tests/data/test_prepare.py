import importlib
import importlib.util
import sys

import lmdb
import numpy as np
import pytest
from PIL import Image
from skimage import data

from lsm.data import prepare as module
from lsm.data.check import check_set
from lsm.data.datasets import find_set
from lsm.data.lmdb import files_in, write_lmdb, write_meta_info
from lsm.data.prepare import PrepareOptions, prepare, sub_positions
from lsm.errors import InputError, OptionError
from lsm.image.resize import imresize


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    for number, image in enumerate((data.astronaut()[:101, :121], data.coffee()[:130, :99], data.cat()[:40, :30])):
        Image.fromarray(np.ascontiguousarray(image)).save(folder / f"p{number}.png")
    return folder


def _read(path):
    return np.asarray(Image.open(path))


def _tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.fixture
def calls(monkeypatch):
    done = []
    original = module.prepare_image

    def spy(path, output, options):
        done.append(path.name)
        return original(path, output, options)

    monkeypatch.setattr(module, "prepare_image", spy)
    return done


def test_pairs(source, tmp_path):
    output = tmp_path / "Mine"
    prepare(source, output, PrepareOptions())
    high = _read(output / "HR" / "p0.png")
    np.testing.assert_array_equal(high, _read(source / "p0.png")[:96, :120])
    for scale in (2, 3, 4):
        low = _read(output / "LR_bicubic" / f"X{scale}" / f"p0x{scale}.png")
        np.testing.assert_array_equal(low, imresize(high, 1 / scale))
        found = find_set(tmp_path, "Mine", scale)
        assert len(found.pairs) == 3
        assert [problem for _, problems in check_set(found) for problem in problems] == []


def test_sub_images_show_the_same_place(source, tmp_path):
    output = tmp_path / "out"
    prepared = prepare(source, output, PrepareOptions((2, 4), sub_size=48, sub_step=32))
    assert sorted(path.name for path in (output / "HR_sub").iterdir()) == [
        *(f"p0_s{number:03d}.png" for number in range(1, 13)),
        *(f"p1_s{number:03d}.png" for number in range(1, 13)),
    ]
    high, low = _read(output / "HR" / "p0.png"), _read(output / "LR_bicubic" / "X4" / "p0x4.png")
    # 100×120 HR in steps of 32: rows 0, 32, 52; columns 0, 32, 64, 72.
    np.testing.assert_array_equal(_read(output / "HR_sub" / "p0_s006.png"), high[32:80, 32:80])
    np.testing.assert_array_equal(_read(output / "LR_bicubic" / "X4_sub" / "p0_s006.png"), low[8:20, 8:20])
    np.testing.assert_array_equal(_read(output / "HR_sub" / "p0_s012.png"), high[52:100, 72:120])
    np.testing.assert_array_equal(_read(output / "LR_bicubic" / "X4_sub" / "p0_s012.png"), low[13:25, 18:30])
    assert len(files_in(prepared, "HR_sub")) == len(files_in(prepared, "LR_bicubic/X4_sub")) == 24


def test_positions_cover_the_side():
    assert sub_positions(100, 40, 30) == [0, 30, 60]
    assert sub_positions(101, 40, 30) == [0, 30, 60, 61]
    assert sub_positions(40, 40, 7) == [0]
    assert sub_positions(39, 40, 7) == []


def test_a_stopped_run_goes_on(source, tmp_path, calls):
    whole = tmp_path / "whole"
    prepare(source, whole, PrepareOptions())
    output = tmp_path / "out"

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(source, output, PrepareOptions(), progress=stop)
    with (output / module.JOURNAL).open("a") as file:
        file.write('{"name": "p2.png", "si')
    calls.clear()
    prepared = prepare(source, output, PrepareOptions())
    assert calls == ["p2.png"]
    assert [entry.name for entry in prepared] == ["p0.png", "p1.png", "p2.png"]
    assert _tree(output) == _tree(whole)
    calls.clear()
    assert prepare(source, output, PrepareOptions()) == prepared
    assert calls == []


def test_what_changed_is_made_again(source, tmp_path, calls):
    output = tmp_path / "out"
    prepare(source, output, PrepareOptions((2,)))
    (output / "LR_bicubic" / "X2" / "p1x2.png").unlink()
    Image.fromarray(data.cat()[:60, :60]).save(source / "p2.png")
    calls.clear()
    prepare(source, output, PrepareOptions((2,)))
    assert calls == ["p1.png", "p2.png"]
    assert _read(output / "HR" / "p2.png").shape == (60, 60, 3)


def test_other_options_need_permission(source, tmp_path):
    output = tmp_path / "out"
    prepare(source, output, PrepareOptions((2,), sub_size=20, sub_step=10))
    with pytest.raises(OptionError, match="`overwrite`"):
        prepare(source, output, PrepareOptions((4,)))
    (output / "HR" / "mine.png").write_bytes(b"not ours")
    prepare(source, output, PrepareOptions((4,)), overwrite=True)
    assert not list((output / "HR_sub").iterdir())
    assert not list((output / "LR_bicubic" / "X2").iterdir())
    assert (output / "HR" / "mine.png").read_bytes() == b"not ours"


def test_several_jobs_give_the_same(source, tmp_path):
    options = PrepareOptions((2, 3), sub_size=24, sub_step=12)
    alone = prepare(source, tmp_path / "one", options)
    shared = prepare(source, tmp_path / "two", options, jobs=2)
    assert alone == shared
    assert _tree(tmp_path / "one") == _tree(tmp_path / "two")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scales": ()},
        {"scales": (1,)},
        {"sub_size": 48, "sub_step": 0},
        {"sub_size": 48, "sub_step": 60},
        {"sub_size": 50, "sub_step": 12},
        {"template": "low"},
        {"template": "../{}"},
    ],
)
def test_wrong_options(wrong):
    with pytest.raises(OptionError):
        PrepareOptions(**wrong)


def test_sources_that_cannot_be_prepared(source, tmp_path):
    with pytest.raises(InputError, match="written over"):
        prepare(source, source, PrepareOptions())
    Image.fromarray(data.cat()[:5, :5]).save(source / "p0.bmp")
    with pytest.raises(InputError, match="both become"):
        prepare(source, tmp_path / "out", PrepareOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        prepare(tmp_path / "empty", tmp_path / "out", PrepareOptions())


def test_lmdb_and_meta_info(source, tmp_path):
    output = tmp_path / "out"
    prepared = prepare(source, output, PrepareOptions((4,)))
    files = files_in(prepared, "LR_bicubic/X4")
    write_meta_info(files, output / "meta.txt")
    assert (output / "meta.txt").read_text().splitlines()[0] == "p0x4.png (25,30,3)"
    for _ in range(2):  # the second replaces the first
        write_lmdb(output, files, ["p0", "p1", "p2"], output / "low.lmdb")
    assert (output / "low.lmdb" / "meta_info.txt").read_text().splitlines() == [
        "p0.png (25,30,3) 1",
        "p1.png (32,24,3) 1",
        "p2.png (10,7,3) 1",
    ]
    with lmdb.open(str(output / "low.lmdb"), readonly=True, lock=False) as database, database.begin() as transaction:
        stored = bytes(transaction.get(b"p1"))
    assert stored == (output / "LR_bicubic" / "X4" / "p1x4.png").read_bytes()
    assert not list(output.glob(".*.part"))
    with pytest.raises(InputError, match="same key"):
        write_lmdb(output, files, ["p0", "p0", "p2"], output / "other.lmdb")


def test_an_lmdb_larger_than_a_page_has_room(tmp_path):
    files = []
    for number in range(300):
        (tmp_path / f"{number}.png").write_bytes(bytes([number % 256]) * (number * 37 + 1))
        files.append((f"{number}.png", 1, 1))
    write_lmdb(tmp_path, files, [name[:-4] for name, _, _ in files], tmp_path / "many.lmdb")
    with lmdb.open(str(tmp_path / "many.lmdb"), readonly=True, lock=False) as database:
        assert database.stat()["entries"] == 300


def test_basicsr_finds_every_key_that_is_taken(tmp_path):
    """Its reader is the reference; it cuts keys at their first dot. U+202F is in the names of macOS' screenshots."""
    if importlib.util.find_spec("basicsr") is None:
        pytest.skip("basicsr is not installed")
    importlib.import_module("lsm.training.compat")  # lets it be imported
    from basicsr.data.data_util import paths_from_lmdb

    names, database = ["Bild 1", "6 pm\u202f(2)", "\u753b\u3000\u50cf"], tmp_path / "named.lmdb"
    for name in [*names, "a.1"]:
        (tmp_path / f"{name}.png").write_bytes(b"png")
    write_lmdb(tmp_path, [(f"{name}.png", 1, 1) for name in names], names, database)
    assert paths_from_lmdb(str(database)) == names
    for name in ("a.1", "a\nb"):
        with pytest.raises(InputError, match="texts of one line without dots"):
            write_lmdb(tmp_path, [("a.1.png", 1, 1)], [name], database)


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems take no such names")
def test_names_that_are_no_text(source, tmp_path):
    (source / "p0.png").rename(source / "a\udcff.png")
    prepared = prepare(source, tmp_path / "out", PrepareOptions((2,)))
    assert prepare(source, tmp_path / "out", PrepareOptions((2,))) == prepared, "the journal knows them"
    write_meta_info(files_in(prepared, "HR"), tmp_path / "list.txt")
    assert (tmp_path / "list.txt").read_bytes().splitlines()[0] == b"a\xff.png (100,120,3)"
    with pytest.raises(InputError, match=r"a\\xff: the keys of an LMDB are texts"):
        write_lmdb(tmp_path / "out", files_in(prepared, "HR"), ["a\udcff", "p1", "p2"], tmp_path / "HR.lmdb")


def test_an_image_that_is_too_small_leaves_the_others_alone(source, tmp_path):
    Image.fromarray(data.cat()[:5, :5]).save(source / "a_small.png")
    for _ in range(2):  # also in a run that goes on
        small, *others = prepare(source, tmp_path / "out", PrepareOptions())
        assert (small.name, small.files) == ("a_small.png", ())
        assert others and all(entry.files for entry in others)
    assert not (tmp_path / "out" / "HR" / "a_small.png").exists()
