"""The demo in a real browser: a photograph in, the slider dragged, the command line's bytes out, nothing left."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lsm.cli import main
from lsm.demo.server import demo_server
from lsm.image.io import write_image
from lsm.version import install_command

PHOTO = Path(__file__).parents[2] / "docs/images/astronaut-half.png"


@pytest.fixture(scope="module")
def outside():
    """Addresses other than this machine's that the server connects to, or looks up."""
    seen, connect, look_up = [], socket.socket.connect, socket.getaddrinfo

    def watched_connect(self, address):
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            seen.append(address)
        return connect(self, address)

    def watched_look_up(host, *arguments, **options):
        if host not in ("127.0.0.1", "::1", "localhost", None):
            seen.append(host)
        return look_up(host, *arguments, **options)

    socket.socket.connect, socket.getaddrinfo = watched_connect, watched_look_up
    yield seen
    socket.socket.connect, socket.getaddrinfo = connect, look_up


@pytest.fixture(scope="module")
def address(outside):
    pytest.importorskip("gradio", reason="gradio (extra `demo`) is not installed")
    before = dict(os.environ)
    with demo_server(["tiny", "tiny-x3"], port=0, device="cpu", max_pixels=90_000) as address:
        yield address
    assert not Path(os.environ["GRADIO_TEMP_DIR"]).exists()
    os.environ.clear()
    os.environ.update(before)
    assert outside == []


@pytest.fixture
def page(browser, address):
    """The demo's page; an error in its script, or a request beyond the server, fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith((address, "data:", "blob:")) else problems.append(request.url),
    )
    page.goto(address)
    page.wait_for_selector("#start")
    yield page
    page.close()
    assert problems == []


def _files() -> set[str]:
    """The files that the server keeps, without gradio's own empty ones."""
    root = Path(os.environ["GRADIO_TEMP_DIR"])
    return {path.name for path in root.rglob("*") if path.is_file() and path.stat().st_size}


def _upscale(page, source, *, scale=2, precision="fp32"):
    if page.locator("#upload [aria-label*='Clear'], #upload [aria-label*='Remove']").count():
        page.locator("#upload [aria-label*='Clear'], #upload [aria-label*='Remove']").first.click()
    page.set_input_files("#upload input[type=file]", source)
    page.wait_for_selector("#upload .file-preview")
    page.fill("#scale input[type=number]", str(scale))
    page.get_by_label(precision, exact=True).check()
    page.click("#start")


def _wait_for_result(page, name):
    page.wait_for_function("name => document.querySelector('#said textarea').value.startsWith(name)", arg=name)
    page.wait_for_timeout(1000)  # the slider begins anew when its images are there


def _by_cli(source, folder, *options) -> Path:
    with pytest.raises(SystemExit) as left:
        main(["upscale", str(source), "-o", str(folder), "--device", "cpu", *options])
    assert not left.value.code
    [result] = folder.iterdir()
    return result


def _clip(page) -> float:
    """How much of the upper image is hidden from the left, in percent."""
    style = page.locator("#slider img").nth(1).get_attribute("style")
    return float(style.split("inset(")[1].split(")")[0].split()[3].rstrip("%"))


def test_a_photograph_upscaled_compared_and_downloaded(page, tmp_path):
    _upscale(page, PHOTO, scale=2)
    _wait_for_result(page, "astronaut-half_out.png  512×512")
    images = page.locator("#slider img")
    assert images.count() == 2
    for index in range(2):
        assert images.nth(index).evaluate("image => [image.naturalWidth, image.naturalHeight]") == [512, 512]

    box = page.locator("#slider .slider-wrap").bounding_box()
    seen = {}
    for place in (0.3, 0.7):
        handle = page.locator("#slider .icon-wrap").bounding_box()
        page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * place, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        page.wait_for_timeout(300)
        seen[place] = _clip(page), page.locator("#slider .slider-wrap").screenshot()
    assert seen[0.3][0] < 40 < 60 < seen[0.7][0]
    assert seen[0.3][1] != seen[0.7][1]  # what is seen between the two places has changed

    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.3)
    for _ in range(10):
        page.mouse.wheel(0, -120)
    page.wait_for_timeout(300)
    assert "scale(1.6" in images.first.get_attribute("style")  # 1.05 to the tenth

    with page.expect_download() as download:
        page.click("#download")
    expected = _by_cli(PHOTO, tmp_path, "-s", "2", "-n", "tiny")
    assert download.value.suggested_filename == expected.name
    assert Path(download.value.path()).read_bytes() == expected.read_bytes()


def test_options_reach_the_network(page, tmp_path):
    source = tmp_path / "Ein Bild (ü).jpg"
    write_image(source, np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    page.click("#tile input")
    page.get_by_role("option", name="64").click()
    page.click("#model input")
    page.get_by_role("option", name="tiny-x3").click()
    _upscale(page, source, scale=2.5, precision="bf16")
    _wait_for_result(page, "Ein Bild (ü)_out.jpg  125×100")
    assert "tiny-x3, x2.5, tiles of at most 64" in page.input_value("#said textarea")
    with page.expect_download() as download:
        page.click("#download")
    options = ["-n", "tiny-x3", "-s", "2.5", "-t", "64", "--precision", "bf16"]
    expected = _by_cli(source, tmp_path / "cli", *options)
    assert download.value.suggested_filename == expected.name
    assert Path(download.value.path()).read_bytes() == expected.read_bytes()


def test_what_cannot_be_done_is_said_in_a_line(page, tmp_path):
    page.click("#start")
    page.get_by_text("Which image? Drop one first.").wait_for()
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    _upscale(page, tmp_path / "bad.png")
    page.get_by_text("bad.png: ").last.wait_for()
    write_image(tmp_path / "large.png", np.zeros((301, 300, 3), np.uint8))
    _upscale(page, tmp_path / "large.png")
    message = page.get_by_text("large.png: 300×301 is")
    message.wait_for()
    assert message.inner_text().startswith("large.png: ")
    assert "more than the limit" in message.inner_text()
    (tmp_path / "huge.png").write_bytes(bytes(2_000_000))
    page.locator("#upload [aria-label*='Clear'], #upload [aria-label*='Remove']").first.click()
    page.set_input_files("#upload input[type=file]", tmp_path / "huge.png")
    page.get_by_text("maximum allowed size").first.wait_for()


def test_nothing_stays_after_the_page_is_closed(browser, address):
    pages = [browser.new_page() for _ in range(2)]
    for page in pages:
        page.goto(address)
        _upscale(page, PHOTO, scale=1)
        _wait_for_result(page, "astronaut-half_out.png  256×256")
    assert {"astronaut-half.png", "astronaut-half_out.png", "bicubic.preview.png", "lsm.preview.png"} <= _files()
    pages[0].close()
    time.sleep(2)
    assert {"astronaut-half.png", "astronaut-half_out.png"} <= _files()  # the other's
    pages[1].close()
    for _ in range(100):
        if not _files():
            break
        time.sleep(0.1)
    assert _files() == set()


def test_pages_of_other_servers_are_refused_by_the_browser(page):
    failed = page.evaluate("fetch('http://localhost.invalid/').then(() => '', error => String(error))")
    assert "TypeError" in failed
    assert "connect-src" in page.evaluate(
        "new Promise(done => {"
        " document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));"
        " fetch('data-of/elsewhere', {}).catch(() => 0); fetch('http://127.0.0.2/').catch(() => 0)})"
    )


def test_without_gradio_one_line_says_what_to_install(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "lsm.demo.page", raising=False)
    with pytest.raises(SystemExit) as left:
        main(["demo", "--port", "0", "--device", "cpu"])
    assert left.value.code == 2
    assert capfd.readouterr().err == f"lsm: error: The demo needs gradio: {install_command('demo')}.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-n", "none.safetensors"], "none.safetensors"),
        (["--device", "abacus"], "abacus"),
        (["--port", "TAKEN"], "--port"),
    ],
)
def test_wrong_usage_is_one_line(arguments, said, capfd):
    pytest.importorskip("gradio", reason="gradio (extra `demo`) is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit) as left:
            main(["demo", "--device", "cpu", *[port if item == "TAKEN" else item for item in arguments]])
    assert left.value.code == 2
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without a signal that they could answer")
def test_the_command_says_where_it_is_and_cleans_up_at_its_end(tmp_path):
    pytest.importorskip("gradio", reason="gradio (extra `demo`) is not installed")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", "from lsm.cli import main; main()", "demo", "--port", "0", "--device", "cpu"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    line = server.stderr.readline()
    assert "http://127.0.0.1:" in line
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("lsm-demo-")]
    server.terminate()
    assert server.wait(60) == 0
    server.stderr.close()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("lsm-demo-")]
    shutil.rmtree(tmp_path, ignore_errors=True)
