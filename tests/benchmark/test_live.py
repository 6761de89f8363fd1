"""The terminal's table at any width."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from lsm.benchmark.live import live_table
from lsm.benchmark.results import ImageResult
from lsm.data.datasets import IMAGES

MODELS = ("bicubic", "LSM-light_x4_DIV2K")


def result(model: str, image_set: str, scale: int, psnr: float) -> ImageResult:
    values = dict.fromkeys(ImageResult.__dataclass_fields__, "")
    values |= {"model": model, "image_set": image_set, "scale": scale, "psnr": psnr, "ssim": 0.9, "seconds": 0.5}
    values["lpips"] = None
    return ImageResult(**values)


def printed(rows: list[ImageResult], width: int) -> str:
    output = io.StringIO()
    Console(file=output, width=width, soft_wrap=True).print(live_table(rows, "classical-sr-y", width))
    return output.getvalue()


@pytest.fixture
def rows() -> list[ImageResult]:
    psnrs = iter(range(20, 40))
    return [result(model, name, scale, next(psnrs)) for model in MODELS for scale in (2, 4) for name in IMAGES]


@pytest.mark.parametrize(("width", "tables"), [(60, 3), (80, 2), (10_000, 1)])
def test_names_and_figures_are_whole_at_any_width(rows, width, tables):
    said = printed(rows, width)
    assert all(len(line) <= width for line in said.splitlines())
    for row in rows:
        # A line that names scale and model has the figure; so has each part of a table in parts.
        lines = [line for line in said.splitlines() if f"×{row.scale} " in line and f" {row.model} " in line]
        assert any(f"{row.psnr:.2f}/0.9000" in line for line in lines)
    assert (said.count("s/image"), said.count(" model ")) == (1, tables)


def test_lpips_stands_beside_the_others_where_all_images_have_it():
    rows = [dataclasses.replace(result("a", name, 4, 30.0), lpips=0.125) for name in ("Set5", "Set14")]
    said = printed(rows, 80)
    assert "PSNR (dB) / SSIM / LPIPS" in said and said.count("30.00/0.9000/0.1250") == 2
    said = printed([*rows, result("a", "Set5", 4, 30.0)], 80)  # no mean of Set5 then
    assert said.count("30.00/0.9000/0.1250") == 1 and said.count("30.00/0.9000") == 2


def test_a_long_name_is_folded_rather_than_cut(rows):
    name = "a" * 70
    said = printed([result(name, "Set5", 4, 30.0)], 80)
    assert said.count("a") - said.count("image") - said.count("classical") * 2 >= 70
    assert "30.00/0.9000" in said and "×4" in said
