import dataclasses
import re
from pathlib import Path
from statistics import stdev

import pytest

from lsm.ablation.plan import Plan, Run
from lsm.ablation.report import cells, draw_curves, table
from lsm.ablation.runs import Curve
from lsm.benchmark.methods import MethodInfo
from lsm.benchmark.results import ImageResult, Results

PLAN = Plan(name="p", options=Path("o.yml"), reference="a", seeds=[0, 1], variants={"a": {}, "b": {}})
RUNS = [Run(variant, seed, f"{variant}{seed}", {"train": {"total_iter": 2}}) for seed in (0, 1) for variant in "ab"]
PSNR = {
    "a0": (30.0, 20.0, 25.0),
    "b0": (30.2, 20.1, 25.3),
    "a1": (30.4, 20.2, 25.0),
    "b1": (30.6, 20.4, 25.2),
}


def results():
    rows = [
        ImageResult(name, "Set5", 4, f"im{index}", 8, 8, psnr, 0.5, 0.1, None, "data", f"{name}{index}")
        for name, values in PSNR.items()
        for index, psnr in enumerate(values)
    ]
    infos = tuple(MethodInfo(name, name, 4, "LSM", "hash", 1234, None) for name in PSNR)
    return Results("y", "", {}, {}, infos, ({"name": "Set5", "scale": 4},), tuple(rows))


def test_differences_are_paired_by_seed_and_image():
    found = cells(PLAN, RUNS, results())
    cell = found["b", "Set5"]
    assert cell.psnr == pytest.approx((30.2 + 20.1 + 25.3 + 30.6 + 20.4 + 25.2) / 6)
    assert cell.spread == pytest.approx(stdev([(30.2 + 20.1 + 25.3) / 3, (30.6 + 20.4 + 25.2) / 3]))
    by_image = [0.2, 0.15, 0.25]
    assert cell.difference.mean == pytest.approx(sum(by_image) / 3)
    assert min(by_image) - 1e-9 <= cell.difference.low <= cell.difference.high <= max(by_image) + 1e-9
    assert cell.margin == pytest.approx(0, abs=1e-9)  # both seeds differ by 0.2
    assert found["a", "Set5"].difference is None


def test_one_seed_never_marks_a_difference():
    curves = {run.name: Curve({2: 0.1}, 0.5) for run in RUNS}
    first = results()
    first = dataclasses.replace(first, rows=tuple(row for row in first.rows if row.model.endswith("0")))
    text = table(PLAN, RUNS[:2], first, curves)
    assert "+0.200 [" in text
    assert "**+" not in text


def test_seeds_that_differ_leave_a_difference_unmarked():
    curves = {run.name: Curve({2: 0.1}, 0.5) for run in RUNS}
    assert "**+0.200**" in table(PLAN, RUNS, results(), curves)
    before = PSNR["b1"]
    PSNR["b1"] = (30.3, 20.1, 24.9)
    try:
        text = table(PLAN, RUNS, results(), curves)
    finally:
        PSNR["b1"] = before
    # The two seeds differ by 0.2 and -0.1; Student's t of one degree of freedom is 12.706.
    assert "+0.050 ± 1.906 [" in text
    assert "**+" not in text


def test_curves_name_every_variant():
    pytest.importorskip("matplotlib")
    svg = draw_curves(RUNS, {run.name: Curve({1: 0.2, 2: 0.1}, 0.5) for run in RUNS})
    assert svg.count("<svg") == 1


def test_no_two_curves_look_alike():
    pytest.importorskip("matplotlib")
    runs = [Run(f"v{number}", 0, f"v{number}", {"train": {"total_iter": 2}}) for number in range(14)]
    svg = draw_curves(runs, {run.name: Curve({1: 0.2, 2: 0.1}, 0.5) for run in runs})
    lines = re.findall(r'<path d="[^"]*" clip-path="[^"]*" style="([^"]*)"', svg)
    assert len(lines) == len(set(lines)) == 14
