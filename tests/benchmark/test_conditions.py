"""A benchmark by `real-sr`: a set in every condition, gains over bicubic of the same input, and the worst."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lsm.benchmark.conditions import markdown, summarize
from lsm.benchmark.report import write_report
from lsm.benchmark.runner import run
from lsm.benchmark.settings import BenchmarkOptions, Settings
from lsm.data.prepare import PrepareOptions, prepare
from lsm.data.real_sr import CONDITIONS
from lsm.errors import InputError, OptionError
from lsm.image.resize import imresize
from lsm.metrics import psnr


@pytest.fixture
def root(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for number, image in enumerate((data.astronaut(), data.coffee())):
        Image.fromarray(np.ascontiguousarray(image[100:160, 150:214])).save(source / f"p{number}.png")
    prepare(source, tmp_path / "sets" / "Mine", PrepareOptions((2,), real_sr=True))
    return tmp_path / "sets"


def options(root, sets=("Mine",), **settings):
    settings = Settings(device="cpu", family="real-sr", **settings)
    return BenchmarkOptions(root, sets, (2,), "bicubic,lanczos", root.parent / "report", settings, crops=0)


def test_each_condition_is_measured_beside_bicubic(root):
    results = run(options(root))
    assert results.protocol == "real-sr-y" and "quality 60" in results.protocol_text
    assert [each["name"] for each in results.sets] == [f"Mine-{condition.name}" for condition in CONDITIONS]
    found = {(each.model, each.condition): each for each in summarize(results.rows)}
    high = np.asarray(Image.open(root / "Mine" / "HR" / "p0.png"))
    low = np.asarray(Image.open(root / "Mine" / "LR_jpeg30" / "X2" / "p0x2.jpg"))
    row = next(row for row in results.rows if (row.model, row.image_set, row.image) == ("bicubic", "Mine-jpeg30", "p0"))
    assert row.psnr == psnr(high, imresize(low, 2), 2)
    gains = {}
    for condition in CONDITIONS:
        mine = [row for row in results.rows if row.image_set == f"Mine-{condition.name}"]
        values = {model: np.array([row.psnr for row in mine if row.model == model]) for model in ("bicubic", "lanczos")}
        gains[condition.name] = values["lanczos"] - values["bicubic"]
        result = found["lanczos", condition.name]
        assert result.gain == pytest.approx(gains[condition.name].mean())
        assert result.above == pytest.approx((gains[condition.name] >= 0).mean())
    worst = min(gains, key=lambda name: gains[name].mean())
    assert found["lanczos", f"worst: {worst}"].gain == pytest.approx(gains[worst].mean())
    table = markdown(results.rows)
    line = next(line for line in table.splitlines() if line.startswith("| worst"))
    assert line.endswith(f"{gains[worst].mean():+.2f}, {min(np.mean(gain >= 0) for gain in gains.values()):.0%}) |")
    files = write_report(results, [], root.parent / "report")
    assert (root.parent / "report" / "conditions.md") in files


def test_what_is_not_prepared_or_known_is_named(root):
    with pytest.raises(OptionError, match="protocol"):
        Settings(family="photo")  # type: ignore[arg-type]
    for path in (root / "Mine" / "LR_linear" / "X2").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="LR_linear/X2"):
        run(options(root))
