"""The report's page in a real browser."""

import dataclasses

import pytest

from lsm.benchmark.published import select
from lsm.benchmark.report import write_report
from lsm.benchmark.runner import run
from lsm.benchmark.settings import BenchmarkOptions, Settings

LOCAL = ("file:", "data:")


@pytest.fixture(scope="module")
def report(image_root, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    options = BenchmarkOptions(
        image_root, ("Set5", "Mine"), (2, 4), f"bicubic,lanczos,{weights}", folder, Settings(device="cpu"), crops=2
    )
    results = run(options)
    # As if the three images were all of Set5, and as hard, so that published rows stand beside them.
    sets = tuple({**s, "images": 5} if s["name"] == "Set5" else s for s in results.sets)
    rows = tuple(dataclasses.replace(row, psnr=row.psnr - 20, ssim=row.ssim - 0.5) for row in results.rows)
    results = dataclasses.replace(results, sets=sets, rows=rows)
    write_report(results, select("Bicubic,VDSR", [2, 4]), folder)
    return folder / "report.html", results


@pytest.fixture(scope="module")
def tab(browser):
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.problems = []
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("console", lambda message: tab.problems.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: None if request.url.startswith(LOCAL) else tab.problems.append(request.url))
    return tab


@pytest.fixture
def page(tab, report):
    """The page as it opens; any error of its script, and any request beyond its own file, fails the test."""
    tab.goto(report[0].as_uri())
    yield tab
    assert tab.problems == []


def _column(page, table, number):
    return page.locator(f"#{table} tbody tr > :nth-child({number})").all_inner_texts()


def test_all_methods_are_listed_with_the_published_ones(page):
    names = _column(page, "results", 1)
    assert names == ["Bicubic †", "VDSR †", "bicubic", "lanczos", "small"] * 2
    page.select_option("#result-scale", "4")
    assert _column(page, "results", 1) == names[:5]
    assert page.locator("#results tbody tr:nth-child(2) b").all_inner_texts() == ["31.35", "0.8830"]


def test_headings_sort_both_ways(page):
    page.select_option("#result-scale", "2")
    heading = page.locator("#results thead button", has_text="Set5")
    heading.click()
    values = [float(text.split("/")[0]) for text in _column(page, "results", 5)]
    assert values == sorted(values, reverse=True)
    heading.click()
    assert page.locator("#results thead th:nth-child(5)").get_attribute("aria-sort") == "ascending"
    assert [float(text.split("/")[0]) for text in _column(page, "results", 5)] == sorted(values)
    page.locator("#results thead button", has_text="Params").click()
    assert _column(page, "results", 1)[0] == "small"  # what is unknown comes last


def test_the_difference_to_a_published_row(page, report):
    mean = next(m for m in report[1].means() if (m.model, m.image_set, m.scale) == ("bicubic", "Set5", 2))
    page.select_option("#result-scale", "2")
    shown = page.locator("#results .delta").all_inner_texts()
    assert [text.split(" / ")[0].replace("−", "-") for text in shown] == [f"{mean.psnr - 33.66:+.2f}"]
    page.select_option("#reference", "VDSR")
    assert page.locator("#results .delta").count() == 3
    page.select_option("#reference", "none")
    assert page.locator("#results .delta").count() == 0


def test_a_cell_leads_to_its_images(page, report):
    page.select_option("#result-scale", "2")
    page.locator("#results tbody tr", has_text="lanczos").locator("td button").nth(1).click()
    assert (page.input_value("#image-set"), page.input_value("#image-scale")) == ("Mine", "2")
    rows = {row.image: row for row in report[1].rows if (row.model, row.image_set, row.scale) == ("small", "Mine", 2)}
    for name, text in zip(_column(page, "images", 1), _column(page, "images", 5), strict=True):
        row = rows[name.removeprefix("◩ ")]
        assert text == f"{row.psnr:.2f} / {row.ssim:.4f}"


def test_crops_side_by_side_and_the_slider(page):
    page.select_option("#image-set", "Set5")
    marked = [text for text in _column(page, "images", 1) if text.startswith("◩")]
    assert len(marked) == 2
    page.get_by_role("button", name=marked[1]).click()
    assert page.input_value("#crop-image") == marked[1].removeprefix("◩ ")
    captions = page.locator("#crops figcaption").all_inner_texts()
    assert [text.splitlines()[0] for text in captions] == ["HR", "bicubic", "lanczos", "small"]
    for image in page.locator("#crops img").all():
        assert image.evaluate("image => image.naturalWidth") > 40
    assert (page.input_value("#before"), page.input_value("#after")) == ("bicubic", "lanczos")
    page.select_option("#after", "HR")
    assert page.inner_text("#tag-after") == "HR"
    box = page.locator("#compare").bounding_box()
    page.locator("#compare").click(position={"x": box["width"] * 0.8, "y": box["height"] / 2})
    assert abs(float(page.input_value("#slider")) - 80) < 3
    assert page.evaluate("document.getElementById('compare-before').style.clipPath").startswith("inset(0")
    page.focus("#slider")
    page.keyboard.press("Home")
    assert page.evaluate("document.getElementById('divider').style.left") == "0%"


def test_it_fits_a_telephone(browser, report):
    tab = browser.new_page(viewport={"width": 390, "height": 800})
    tab.goto(report[0].as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()
