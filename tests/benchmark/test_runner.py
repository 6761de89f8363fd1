import dataclasses
import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
from own_process import run_in_process, torchrun
from PIL import Image

from lsm.benchmark import processes, tasks
from lsm.benchmark.evaluate import CROP_SIDE, crop_corner, load_pair
from lsm.benchmark.journal import Journal
from lsm.benchmark.results import means, read_json, write_csv, write_json
from lsm.benchmark.runner import run
from lsm.benchmark.settings import BenchmarkOptions, Settings
from lsm.data.pairs import Pair
from lsm.errors import InputError, OptionError
from lsm.image.resize import imresize
from lsm.metrics import psnr, ssim


@pytest.fixture
def options(image_root, tmp_path):
    return BenchmarkOptions(image_root, ("Set5",), (2,), "bicubic,lanczos", tmp_path / "report", Settings(device="cpu"))


@pytest.fixture
def calls(monkeypatch):
    """Names of the images that are really measured."""
    measured = []
    original = processes.evaluate

    def spy(task, method, channel):
        measured.append((task.label, task.pair.name))
        return original(task, method, channel)

    monkeypatch.setattr(processes, "evaluate", spy)
    return measured


def test_figures_are_those_of_the_protocol(options, image_root):
    results = run(options)
    assert [(row.model, row.image) for row in results.rows] == [
        (model, f"p{number}") for model in ("bicubic", "lanczos") for number in range(3)
    ]
    high = np.asarray(Image.open(image_root / "Set5" / "HR" / "p0.png"))[:60, :82]
    result = imresize(imresize(high, 0.5), 2)
    row = results.rows[0]
    assert (row.height, row.width) == (60, 82)
    assert row.psnr == psnr(high, result, 2)
    assert row.ssim == ssim(high, result, 2)
    assert row.seconds > 0
    mean = results.means()[0]
    assert mean.psnr == pytest.approx(np.mean([row.psnr for row in results.rows[:3]]))
    assert mean.images == 3
    assert results.sets[0]["lr"] == "MATLAB bicubic"


def test_given_low_resolution_is_used(tmp_path, image_root):
    high = tmp_path / "Set5" / "HR"
    low = tmp_path / "Set5" / "LR_bicubic" / "X2"
    high.mkdir(parents=True)
    low.mkdir(parents=True)
    image = np.asarray(Image.open(image_root / "Set5" / "HR" / "p0.png"))
    Image.fromarray(image).save(high / "a.png")
    Image.fromarray(np.full((30, 41, 3), 7, np.uint8)).save(low / "ax2.png")
    cropped, given = load_pair(Pair("a", high / "a.png", low / "ax2.png"), 2)
    assert cropped.shape == (60, 82, 3)
    assert (given == 7).all()
    Image.fromarray(np.zeros((31, 41, 3), np.uint8)).save(low / "ax2.png")
    with pytest.raises(InputError, match=r"41×31.*needs 41×30"):
        load_pair(Pair("a", high / "a.png", low / "ax2.png"), 2)


def test_a_killed_run_goes_on(options, calls, monkeypatch):
    whole = run(dataclasses.replace(options, report=options.report.with_name("whole")))
    calls.clear()

    def stop(rows, total):
        if len(rows) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(options, progress=stop)
    journal = options.report / "journal" / "rows-0.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"model": "bicub')  # killed while it wrote
    calls.clear()
    results = run(options)
    assert calls == [("bicubic", "p2"), ("lanczos", "p0"), ("lanczos", "p1"), ("lanczos", "p2")]
    assert [(row.psnr, row.ssim) for row in results.rows] == [(row.psnr, row.ssim) for row in whole.rows]
    calls.clear()
    assert run(options) == results
    assert calls == []
    run(dataclasses.replace(options, fresh=True))
    assert len(calls) == 6


def test_changed_data_is_measured_again(options, image_root, tmp_path, calls):
    root = tmp_path / "copy"
    (root / "Set5" / "HR").mkdir(parents=True)
    for path in (image_root / "Set5" / "HR").iterdir():
        (root / "Set5" / "HR" / path.name).write_bytes(path.read_bytes())
    options = dataclasses.replace(options, data=root)
    run(options)
    calls.clear()
    image = np.asarray(Image.open(root / "Set5" / "HR" / "p1.png")).copy()
    image[0, 0] ^= 1
    Image.fromarray(image).save(root / "Set5" / "HR" / "p1.png")
    run(options)
    assert calls == [("bicubic", "p1"), ("lanczos", "p1")]


def test_a_changed_model_protocol_or_code_is_measured_again(options, weights, tmp_path, calls, monkeypatch):
    path = tmp_path / "small.safetensors"
    source = pathlib.Path(str(weights).replace("{scale}", "2"))
    path.write_bytes(source.read_bytes())
    options = dataclasses.replace(options, methods=str(path), limit=1)
    run(options)
    assert len(calls) == 1
    renamed = run(dataclasses.replace(options, methods=f"renamed={path}"))
    assert len(calls) == 1
    assert renamed.rows[0].model == "renamed"

    import lsm
    from lsm.weights import save_model

    model = lsm.load_model(path)
    next(model.parameters()).data += 0.01
    save_model(model, path)
    run(options)
    assert len(calls) == 2
    run(dataclasses.replace(options, settings=Settings(channel="rgb", device="cpu")))
    assert len(calls) == 3
    monkeypatch.setattr(tasks, "code_hash", lambda *modules: "other code")
    run(options)
    assert len(calls) == 4


def test_missing_crops_and_results_are_made_again(options, calls, tmp_path):
    options = dataclasses.replace(options, methods="bicubic", visual=tmp_path / "visual", crops=2)
    results = run(options)
    saved = tmp_path / "visual" / "bicubic" / "Set5" / "x2" / "p0.png"
    assert np.asarray(Image.open(saved)).shape == (60, 82, 3)
    assert len(list((options.report / "crops").iterdir())) == 6
    calls.clear()
    saved.unlink()
    assert [row.psnr for row in run(options).rows] == [row.psnr for row in results.rows]
    assert calls == [("bicubic", "p0")]
    assert saved.is_file()


def test_several_jobs_give_the_same(options, weights):
    options = dataclasses.replace(options, methods=f"bicubic,{weights}", sets=("Set5", "Mine"))
    alone = run(options)
    shared = run(dataclasses.replace(options, report=options.report.with_name("shared"), jobs=2))
    assert [(row.model, row.image, row.psnr, row.ssim) for row in shared.rows] == [
        (row.model, row.image, row.psnr, row.ssim) for row in alone.rows
    ]


def test_torchrun_gives_the_same(options, weights, tmp_path):
    models = f"bicubic,{weights}"
    alone = run(dataclasses.replace(options, methods=models))
    script = pathlib.Path(__file__).parents[2] / "scripts" / "benchmark.py"
    command = [script, "--data", options.data, "--sets", "Set5", "--scales", "2", "--models", models, "--device", "cpu"]
    run_in_process(torchrun, 2, *map(str, command), "--report", str(tmp_path / "ranks"), folder=tmp_path)
    ranks = read_json(tmp_path / "ranks" / "results.json")
    assert [(row.key, row.psnr, row.ssim) for row in ranks.rows] == [
        (row.key, row.psnr, row.ssim) for row in alone.rows
    ]
    assert len(list((tmp_path / "ranks" / "journal").iterdir())) == 2


def test_results_survive_their_file(options, tmp_path):
    results = run(dataclasses.replace(options, limit=2))
    perfect = dataclasses.replace(results.rows[0], psnr=float("inf"))
    results = dataclasses.replace(results, rows=(perfect, *results.rows[1:]))
    write_json(results, tmp_path / "results.json")
    json.loads((tmp_path / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert read_json(tmp_path / "results.json").rows == results.rows
    write_csv(results.rows, tmp_path / "results.csv")
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 5
    assert means(results.rows)[0].psnr == float("inf")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "other"}'])
def test_damaged_results_are_refused(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=r"results\.json"):
        read_json(tmp_path / "results.json")


def test_a_journal_outlives_its_process(tmp_path, options):
    rows = run(options).rows
    journal = Journal(tmp_path / "journal", 3)
    journal.append(rows[0])
    (tmp_path / "journal" / "rows-3.jsonl").open("a").write("{cut")
    journal.append(rows[1])
    assert Journal(tmp_path / "journal").read() == {row.key: row for row in rows[:2]}


def test_the_crop_is_where_bicubic_errs_most():
    high = np.zeros((200, 300, 3), np.uint8)
    upscaled = high.copy()
    upscaled[90:100, 210:220] = 255
    top, left = crop_corner(high, upscaled)
    assert top <= 90 <= 100 <= top + CROP_SIDE
    assert left <= 210 <= 220 <= left + CROP_SIDE
    assert crop_corner(high[:50], upscaled[:50]) == (0, 0)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"limit": 0}, OptionError),
        ({"jobs": 0}, OptionError),
        ({"sets": ("Set5", "set-5")}, OptionError),
        ({"sets": ("Set9",)}, InputError),
        ({"scales": (4,)}, InputError),  # 12 pixels remain after the crop, but the smallest image has fewer
    ],
)
def test_wrong_options(options, change, error, tmp_path):
    small = tmp_path / "small" / "Set5" / "HR"
    small.mkdir(parents=True)
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(small / "a.png")
    if "scales" in change:
        change = {**change, "data": tmp_path / "small"}
    with pytest.raises(error):
        run(dataclasses.replace(options, **change))


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems take no such names")
def test_names_that_are_no_text_are_measured_once(options, image_root, calls, tmp_path):
    shutil.copytree(image_root / "Set5", tmp_path / "sets" / "Set5")
    (tmp_path / "sets" / "Set5" / "HR" / "p0.png").rename(tmp_path / "sets" / "Set5" / "HR" / "a\udcff.png")
    options = dataclasses.replace(options, data=tmp_path / "sets")
    results = run(options)
    assert run(options).rows == results.rows
    assert len(calls) == 6
    write_json(results, tmp_path / "results.json")
    assert read_json(tmp_path / "results.json").rows == results.rows
    write_csv(results.rows, tmp_path / "results.csv")
