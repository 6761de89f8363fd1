"""LPIPS in a benchmark, by an AlexNet with drawn weights: figures, keys, processes, tables, the worst condition."""

import csv
import dataclasses
import json
import multiprocessing
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from lsm.benchmark import conditions
from lsm.benchmark.html import page
from lsm.benchmark.published import select
from lsm.benchmark.report import write_report
from lsm.benchmark.results import ImageResult, read_json, write_json
from lsm.benchmark.runner import run
from lsm.benchmark.settings import BenchmarkOptions, Settings
from lsm.benchmark.statistics import compare
from lsm.benchmark.tables import markdown
from lsm.cli import main
from lsm.data import workers
from lsm.errors import InputError
from lsm.image.resize import imresize
from lsm.metrics import perceptual


@pytest.fixture
def options(image_root, tmp_path):
    settings = Settings(device="cpu", lpips=True)
    return BenchmarkOptions(image_root, ("Set5",), (2,), "bicubic,lanczos", tmp_path / "report", settings, crops=1)


def test_figures_are_those_of_the_package_in_every_file(alexnet, options, image_root):
    import lpips

    results = run(options)
    high = np.asarray(Image.open(image_root / "Set5" / "HR" / "p0.png"))[:60, :82]
    pair = [
        torch.tensor(image[2:-2, 2:-2].copy()).permute(2, 0, 1)[None]
        for image in (high, imresize(imresize(high, 0.5), 2))
    ]
    with torch.no_grad():
        expected = lpips.LPIPS(net="alex", version="0.1", verbose=False)(*(each / 255 for each in pair), normalize=True)
    row = results.rows[0]
    assert row.lpips == pytest.approx(expected.item(), rel=1e-5) and row.lpips > 0
    rgb = run(dataclasses.replace(options, settings=Settings(device="cpu", channel="rgb", lpips=True), limit=1))
    assert rgb.rows[0].lpips == row.lpips and rgb.rows[0].psnr != row.psnr

    mean = results.means()[0].lpips
    assert mean == pytest.approx(np.mean([row.lpips for row in results.rows[:3]]))
    assert "lower is better" in results.protocol_text and results.protocol == "classical-sr-y"
    write_report(results, [], options.report)
    assert read_json(options.report / "results.json").rows == results.rows
    content = json.loads((options.report / "results.json").read_text())
    assert content["means"][0]["lpips"] == mean and content["environment"]["lpips"]
    with (options.report / "results.csv").open() as file:
        assert [float(line["lpips"]) for line in csv.DictReader(file)] == [row.lpips for row in results.rows]
    shown = json.loads(re.search(r'id="data">(.*?)</script>', page(results, [], options.report, {}), re.DOTALL)[1])
    assert shown["lines"][0]["values"]["Set5"][2] == mean and shown["rows"][0]["lpips"] == row.lpips


def test_nothing_is_said_of_it_where_it_is_not_measured(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    results = run(dataclasses.replace(options, settings=Settings(device="cpu")))
    assert results.rows[0].lpips is None and not results.has_lpips
    assert "LPIPS" not in markdown(results, []) + results.protocol_text
    assert '"measures": "PSNR in dB / SSIM"' in page(results, [], options.report, {})


def test_rows_without_it_or_by_other_weights_are_measured_again(alexnet, options, capsys):
    plain = run(dataclasses.replace(options, settings=Settings(device="cpu")))
    measured = run(options)
    assert [row.psnr for row in measured.rows] == [row.psnr for row in plain.rows]
    assert all(row.lpips is not None for row in measured.rows)
    assert run(options).rows == measured.rows
    next(perceptual.load_network("lpips").parameters()).mul_(2)  # the first layer's weights
    other = run(options)
    assert all(a.lpips != b.lpips and a.key != b.key for a, b in zip(other.rows, measured.rows, strict=True))
    # Results without it compare with those that have it; LPIPS where both do.
    assert [each.lpips for each in compare(plain, measured)] == [None, None]
    for each in compare(measured, other):
        differences = [
            b.lpips - a.lpips for a, b in zip(measured.rows, other.rows, strict=True) if a.model == each.first
        ]
        assert each.lpips == tuple(differences)
        assert each.lpips_interval.mean == pytest.approx(np.mean(differences))
    for name, results in (("plain", plain), ("measured", measured), ("other", other)):
        write_json(results, options.report / f"{name}.json")
    for first, shows in (("plain", False), ("measured", True)):
        with pytest.raises(SystemExit) as left:
            main(["benchmark", "diff", *(str(options.report / f"{name}.json") for name in (first, "other"))])
        assert not left.value.code and ("LPIPS" in capsys.readouterr().out) == shows


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries of other systems do not bear a fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_several_jobs_give_the_same(alexnet, options, monkeypatch):
    alone = run(options)
    # A fork has this process's environment, which a server that another test started has not.
    monkeypatch.setattr(workers, "get_context", lambda method: multiprocessing.get_context("fork"))
    shared = run(dataclasses.replace(options, report=options.report.with_name("shared"), jobs=2))
    assert [(row.key, row.image) for row in shared.rows] == [(row.key, row.image) for row in alone.rows]
    assert [row.lpips for row in shared.rows] == pytest.approx([row.lpips for row in alone.rows], rel=1e-5)


@pytest.mark.parametrize("loses", ["the package", "the weights"])
def test_what_is_missing_is_said_at_once_and_in_one_line(loses, image_root, tmp_path, monkeypatch, capfd):
    perceptual.load_network.cache_clear()
    if loses == "the package":
        monkeypatch.setitem(sys.modules, "lpips", None)
        expected = r"LPIPS needs its authors' package: pip install .*\[perceptual\]"
    else:
        pytest.importorskip("lpips", reason="lpips (extra `perceptual`) is not installed")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
        monkeypatch.setattr("torch.hub.urlopen", _refuse)
        expected = r"LPIPS's network cannot be fetched: .*no way.*alexnet-.*\.pth.*empty.hub.checkpoints"
    arguments = ["--data", str(image_root), "--sets", "Set5", "--scales", "2", "--models", "bicubic", "--lpips"]
    with pytest.raises(SystemExit) as left:
        main(["benchmark", *arguments, "--report", str(tmp_path / "report")])
    said = capfd.readouterr()
    complaint = next(line for line in said.err.splitlines() if line.startswith("lsm: error: "))
    assert left.value.code == 2 and re.search(expected, complaint)
    assert "Traceback" not in said.err and not (tmp_path / "report").exists()


def _refuse(*_, **__):
    raise OSError("no way")


def test_an_image_too_small_for_it_is_named(alexnet, tmp_path, options):
    (tmp_path / "Set5" / "HR").mkdir(parents=True)
    Image.fromarray(np.zeros((32, 40, 3), np.uint8)).save(tmp_path / "Set5" / "HR" / "a.png")
    with pytest.raises(InputError, match=r"a\.png: LPIPS needs at least 31x31"):
        run(dataclasses.replace(options, data=tmp_path))


def test_the_lowest_is_marked_as_best_beside_published_rows(alexnet, options):
    results = run(options)
    values = {"bicubic": 0.25, "lanczos": 0.125}
    rows = tuple(dataclasses.replace(row, psnr=20.0, ssim=0.5, lpips=values[row.model]) for row in results.rows)
    sets = tuple({**each, "images": 5} for each in results.sets)
    text = markdown(dataclasses.replace(results, rows=rows, sets=sets), select("VDSR", [2]))
    assert "| **37.53**/**0.9590**/– |" in text
    assert "<u>20.00</u>/<u>0.5000</u>/**0.1250** |" in text and "/<u>0.2500</u> |" in text
    assert "PSNR in dB / SSIM / LPIPS (lower is better)" in text and f"lpips {results.environment['lpips']}" in text


def _row(model: str, condition: str, image: str, psnr: float, lpips: float) -> ImageResult:
    return ImageResult(model, f"Mine-{condition}", 4, image, 8, 8, psnr, 0.5, 0.1, None, "data", "key", lpips)


ROWS = [
    _row("bicubic", "clean", "a", 30, 0.30), _row("bicubic", "clean", "b", 30, 0.40),
    _row("bicubic", "jpeg30", "a", 24, 0.60), _row("bicubic", "jpeg30", "b", 24, 0.50),
    _row("photo", "clean", "a", 30.5, 0.34), _row("photo", "clean", "b", 30.5, 0.38),
    _row("photo", "jpeg30", "a", 24.1, 0.20), _row("photo", "jpeg30", "b", 24.1, 0.30),
]  # fmt: skip


def test_the_worst_condition_is_by_each_measure_its_own():
    found = {(each.model, each.condition): each for each in conditions.summarize(ROWS, conditions.LPIPS)}
    assert found["photo", "jpeg30"].gain == pytest.approx((0.60 - 0.20 + 0.50 - 0.30) / 2)  # lower by so much
    assert found["photo", "clean"].above == 0.5
    text = conditions.markdown(ROWS)
    by_psnr, by_lpips = (line for line in text.splitlines() if line.startswith("| worst"))
    assert by_psnr == "| worst | jpeg30 24.00 | jpeg30 24.10 (+0.10, 100%) |"
    assert by_lpips == "| worst | jpeg30 0.5500 | clean 0.3600 (+0.0100, 50%) |"
    assert "| Mine ×4, PSNR | bicubic | photo |" in text and "| Mine ×4, LPIPS | bicubic | photo |" in text
    assert "| jpeg30 | 0.5500 | 0.2500 (-0.3000, 100%) |" in text
    assert "LPIPS, lower is better" in text
    # Without bicubic the worst is that of the highest LPIPS.
    alone = conditions.markdown([row for row in ROWS if row.model == "photo"])
    assert "| worst | clean 0.3600 |" in alone and "| worst | jpeg30 24.10 |" in alone


def test_no_table_by_a_measure_that_was_not_taken():
    text = conditions.markdown([dataclasses.replace(row, lpips=None) for row in ROWS])
    assert "LPIPS" not in text and text.count("| worst") == 1


def test_the_page_shows_it_in_a_browser(alexnet, options, browser):
    results = run(options)
    values = {"bicubic": 0.25, "lanczos": 0.125}
    rows = tuple(dataclasses.replace(row, lpips=values[row.model]) for row in results.rows)
    write_report(dataclasses.replace(results, rows=rows), [], options.report)
    tab, problems = browser.new_page(), []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto((options.report / "report.html").as_uri())
    names = tab.locator("#results tbody th").all_inner_texts()
    lines = dict(zip(names, tab.locator("#results tbody td:nth-child(5)").all(), strict=True))
    for mean in results.means():
        value, mark = f"{values[mean.model]:.4f}", "b" if mean.model == "lanczos" else "u"
        assert lines[mean.model].inner_text() == f"{mean.psnr:.2f} / {mean.ssim:.4f} / {value}"
        assert lines[mean.model].locator(mark).all_inner_texts()[-1] == value
    row = results.rows[0]
    assert f"{row.psnr:.2f} / {row.ssim:.4f} / 0.2500" in tab.locator("#images").inner_text()
    assert tab.locator("#images tbody b", has_text="0.1250").count() == 3
    assert tab.locator("#crops figcaption", has_text="bicubic").inner_text().endswith(" / 0.2500")
    assert tab.locator(".measures").first.inner_text() == "PSNR in dB / SSIM / LPIPS (lower is better)"
    assert problems == []
    tab.close()
