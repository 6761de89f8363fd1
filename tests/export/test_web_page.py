"""The exported page in a real browser: the same image as `Upscaler`'s, with nothing from other hosts."""

import functools
import http.server
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from lsm.export.web import OVERLAP, export_web
from lsm.image.io import read_image, write_image
from lsm.inference.tiling import spans, weights
from lsm.inference.upscaler import Upscaler
from lsm.scan.torch_version import TORCH_26

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "docs/images/astronaut-half.png"
TILE = 64
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


@pytest.fixture(scope="module")
def site(browser, network, tmp_path_factory):
    """The folder that is written for a small network."""
    package = Path(os.environ.get("ONNXRUNTIME_WEB", ROOT / "node_modules/onnxruntime-web"))
    if not package.exists():
        pytest.skip(f"{package} is not there: `npm install onnxruntime-web`, or ONNXRUNTIME_WEB names it")
    if TORCH_26:
        pytest.skip("torch 2.6 cannot export to ONNX")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("web") / "site"
    export_web(network, folder, package, "small-x2", {"licence": "CC0-1.0"}, TILE)
    return folder


@pytest.fixture(params=["isolated", "plain"])
def page(browser, site, request):
    """The page from a server of static files; a request to elsewhere, or an error in a script, fails the test."""
    headers = ISOLATED if request.param == "isolated" else {}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self):
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    page, problems = browser.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    own = (address, "blob:", "data:")
    page.on("request", lambda asked: None if asked.url.startswith(own) else problems.append(asked.url))
    page.goto(address)
    page.locator("#scale", has_text="×2").wait_for()  # the page forbids strings as code, with which others wait
    yield page
    page.close()
    server.shutdown()
    server.server_close()
    assert problems == []


def upscale(page, path, folder):
    """Upscale a file in the page, and return the downloaded file's pixels and the last message."""
    page.set_input_files("#file", path)
    page.locator("#start:enabled").wait_for()
    page.click("#start")
    page.locator("#message", has_text=re.compile("done in|could not|rror")).wait_for(timeout=120_000)
    said = page.inner_text("#message")
    assert "done in" in said
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == f"{Path(path).stem}_out.png"
    download.value.save_as(folder / "out.png")
    return read_image(folder / "out.png").pixels[..., :3], said


def test_a_photograph_in_tiles_is_the_upscalers(page, network, tmp_path, request):
    photo = read_image(PHOTO).pixels[:100, :150, :3]  # two by three tiles of three shapes
    write_image(tmp_path / "a photo.png", photo)
    result, said = upscale(page, tmp_path / "a photo.png", tmp_path)
    expected = Upscaler(network, tile=TILE, tile_overlap=OVERLAP, device="cpu")(photo)
    assert result.shape == expected.shape
    difference = np.abs(result.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
    assert "WebAssembly" in said
    cores = page.evaluate("navigator.hardwareConcurrency")
    threads = min(cores, 8) if "isolated" in request.node.name else 1
    assert said.endswith(f"threads: {threads})")

    box = page.locator("#compare").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert 20 < float(page.locator("#compare").evaluate("e => e.style.getPropertyValue('--at')").rstrip("%")) < 30


def test_tiles_lie_as_in_python(page):
    sizes = [1, 8, 63, 64, 65, 96, 97, 100, 500]
    grids = [(64, 32, 8), (64, 0, 16), (48, 20, 16)]
    found = page.evaluate(
        """async ([sizes, grids]) => {
          const { spans, weights } = await import("./tiling.js");
          return grids.map((grid) => sizes.map((size) =>
            spans(size, ...grid).map((span) => [...Object.values(span), [...weights(span, 2)]])));
        }""",
        [sizes, grids],
    )
    for grid, of_grid in zip(grids, found, strict=True):
        for size, of_size in zip(sizes, of_grid, strict=True):
            expected = spans(size, *grid)
            assert len(expected) == len(of_size)
            for span, (*numbers, factors) in zip(expected, of_size, strict=True):
                names = ("start", "stop", "keep_start", "keep_stop", "fade_in", "fade_out")
                assert numbers == [getattr(span, name) for name in names]
                np.testing.assert_allclose(factors, weights(span, 2).numpy(), atol=1e-6)


def test_what_is_no_image_or_too_large_is_said(page, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    page.set_input_files("#file", tmp_path / "bad.png")
    page.get_by_text("bad.png is no image that this browser can read.").wait_for()
    assert page.locator("#start").is_disabled()
    write_image(tmp_path / "wide.png", np.zeros((2, 8193, 3), np.uint8))
    page.set_input_files("#file", tmp_path / "wide.png")
    page.get_by_text("wide.png: the result would be 16386×4 pixels, more than a browser can hold.").wait_for()
    assert page.locator("#start").is_disabled()


def test_transparency_is_upscaled_too(page, tmp_path):
    pixels = np.full((20, 30, 4), 200, np.uint8)
    pixels[:, :15, 3] = 0
    pixels[:, 15:, 3] = 255
    write_image(tmp_path / "a.png", pixels)
    upscale(page, tmp_path / "a.png", tmp_path)
    alpha = read_image(tmp_path / "out.png").pixels[..., 3]
    assert alpha.shape == (40, 60)
    assert alpha[:, :20].mean() < 60 < 195 < alpha[:, 40:].mean()
