"""The site builds without a warning and asks no other host for anything; the cards of the weights are current."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lsm.errors import InputError

pytest.importorskip("material")
pytest.importorskip("mkdocstrings")
model_cards = pytest.importorskip("model_cards")  # scripts/ is on the path of the tests
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


class Fetched(HTMLParser):
    """Collects what a browser would load by itself: everything but links that a reader follows."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        if tag == "link" and named.get("rel") in ("canonical", "prev", "next"):
            return
        wanted = ("href",) if tag == "link" else ("src", "srcset", "poster", "data")
        self.urls += [named[key] or "" for key in wanted if key in named]


def test_nothing_is_loaded_from_other_hosts(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        fetched = Fetched()
        fetched.feed(page.read_text(encoding="utf-8"))
        assert fetched.urls
        outside = [url for url in fetched.urls if re.match(r"(\w+:)?//", url)]
        assert not outside, f"{page.name}: {outside}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_page_is_in_the_navigation_and_the_interface_is_described(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file()
    assert "images/astronaut.png" in home
    for name, text in (("inference", "upscale_image"), ("scan", "linear_scan"), ("arch", "LSMConfig")):
        assert text in (site / "api" / f"{name}.html").read_text(encoding="utf-8")


def test_cards_are_current() -> None:
    """Run `python scripts/model_cards.py` if this fails."""
    pages = model_cards.pages()
    assert {file.stem for file in model_cards.FOLDER.glob("*.md")} == set(pages)
    for name, text in pages.items():
        assert (model_cards.FOLDER / f"{name}.md").read_text(encoding="utf-8") == text


def test_numbers_of_other_weights_are_refused() -> None:
    weights = model_cards.Weights.read(model_cards.WEIGHTS / "tiny-x2.safetensors")
    with pytest.raises(InputError, match="tiny-x2 are of other weights"):
        model_cards.card(weights, {"sha256": "0" * 64})


def test_the_numbers_of_the_cards_are_those_of_the_reports() -> None:
    results, denoising = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("results.md", "denoiser.md"))
    measured = model_cards.yaml.safe_load(model_cards.MEASURED.read_text(encoding="utf-8"))
    for label in ("LSM-tiny", "fast", "nano"):
        lines = [line for line in results.splitlines() if line.startswith(f"| **{label}** |")]
        *scales, urban100 = ([cell.strip() for cell in line.split("|")[2:-1]] for line in lines)
        for row, of_urban100 in zip(scales, urban100, strict=True):
            name = f"{label.removeprefix('LSM-')}-{row[0].replace('×', 'x')}"
            assert list(measured[name]["results"].values()) == [*row[-3:], of_urban100], name
    for name in (name for name in measured if name.startswith("denoiser")):
        for noise, numbers in measured[name]["results"].items():
            row = next(line for line in denoising.splitlines() if line.startswith(f"| {name} | {noise} "))
            cells = [cell.strip() for cell in row.split("|")]
            assert numbers == "/".join((cells[4], cells[7], cells[9]))
