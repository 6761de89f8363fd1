import csv
import dataclasses
import json
import re
import sys

import pytest

from lsm.benchmark import plots
from lsm.benchmark.html import page
from lsm.benchmark.published import counterpart, published, select
from lsm.benchmark.report import write_report
from lsm.benchmark.runner import run
from lsm.benchmark.settings import BenchmarkOptions, Settings
from lsm.benchmark.tables import markdown, table_lines
from lsm.errors import OptionError


@pytest.fixture(scope="module")
def results(image_root, weights, tmp_path_factory):
    options = BenchmarkOptions(
        image_root, ("Set5", "Mine"), (2, 4), f"bicubic,{weights}", tmp_path_factory.mktemp("report"),
        Settings(device="cpu"),
    )  # fmt: skip
    return run(options), options.report


def _whole(results):
    """The same results as if the set of three images were all of Set5, and as hard."""
    sets = tuple({**s, "images": 5} if s["name"] == "Set5" else s for s in results.sets)
    rows = tuple(dataclasses.replace(row, psnr=row.psnr - 20, ssim=row.ssim - 0.5) for row in results.rows)
    return dataclasses.replace(results, sets=sets, rows=rows)


def test_published_rows():
    assert {row.scale for row in published()} == {2, 3, 4}
    assert all(row.source for row in published())
    row = counterpart("BICUBIC", 4)
    assert (row.method, row.values["Set5"]) == ("Bicubic", (28.42, 0.8104))
    assert counterpart("lsm-light", 2).parameters == 763_000
    assert counterpart("tiny", 2) is None
    assert counterpart("LSM+", 4) != counterpart("LSM", 4)
    assert [row.method for row in select("vdsr,bicubic", [3])] == ["Bicubic", "VDSR"]
    assert select("none", [2]) == []
    assert len(select("all", [2, 3, 4])) == len(published())
    with pytest.raises(OptionError, match="Did you mean 'SRCNN'"):
        select("SRCN", [2])


def test_published_rows_are_those_of_the_reference(shared):
    with (shared / "reference" / "published_sr.csv").open() as file:
        reference = list(csv.DictReader(file))
    assert len(reference) == len(published())
    for line, row in zip(reference, published(), strict=True):
        assert (line["method"], int(line["scale"])) == (row.method, row.scale)
        for name, value in row.values.items():
            assert value == (float(line[f"{name}_psnr"]), float(line[f"{name}_ssim"]))


def test_markdown_marks_best_and_second(results):
    text = markdown(_whole(results[0]), select("Bicubic,VDSR,SRCNN", [2, 4]))
    vdsr = next(line for line in text.splitlines() if line.startswith("| VDSR † | ×2"))
    assert "**37.53**/**0.9590**" in vdsr
    assert re.search(r"\| SRCNN † \| ×2 .*<u>36.66</u>/<u>0.9542</u>", text)
    assert "| Measured − published | Scale | Set5 | Mine |" in text
    assert re.search(r"\| bicubic \| ×2 \| [+-]\d+\.\d{3}/[+-]\d\.\d{4} \| – \|", text)
    assert "> classical-sr-y" in text


def test_published_rows_stand_beside_whole_sets_of_luma_only(results):
    rows = select("Bicubic", [2, 4])
    assert "Set5 (3 of 5)" in markdown(results[0], rows)
    assert "†" not in markdown(results[0], rows)
    whole = _whole(results[0])
    assert any(line.is_published for line in table_lines(whole, rows))
    rgb = dataclasses.replace(whole, settings={**whole.settings, "channel": "rgb"})
    assert not any(line.is_published for line in table_lines(rgb, rows))


def test_plots(results):
    pytest.importorskip("matplotlib", reason="matplotlib (extra `report`) is not installed")
    figures = plots.draw(_whole(results[0]), select("LSM-light", [2, 4]))
    assert list(figures) == [f"PSNR against {what}, ×{scale}" for scale in (2, 4) for what in ("parameters", "latency")]
    assert all(svg.rstrip().endswith("</svg>") for svg in figures.values())
    assert figures == plots.draw(_whole(results[0]), select("LSM-light", [2, 4]))


def test_all_files_are_written(results, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    files = write_report(results[0], [], tmp_path)
    assert [path.name for path in files] == ["results.json", "results.csv", "results.md", "report.html"]
    assert "[report]" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files)


def test_the_page_is_self_contained_and_keeps_names_as_data(results):
    whole, folder = results
    nasty = "</script><script>document.title='broken'</script>"
    rows = tuple(dataclasses.replace(row, image=nasty) for row in whole.rows)
    text = page(dataclasses.replace(whole, rows=rows), [], folder / "crops", {})
    assert nasty not in text
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, flags=re.DOTALL)[1])
    assert data["rows"][0]["image"] == nasty
