"""`-`: an image through the standard streams."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lsm.cli import main
from lsm.image.io import write_image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary):
    """Return a function that gives bytes to the standard input and returns code, output and messages."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, given: bytes = b"") -> tuple[int, bytes, str]:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))
        with pytest.raises(SystemExit) as left:
            main([*arguments, "--device", "cpu"])
        out, err = capfdbinary.readouterr()
        return int(left.value.code or 0), out, err.decode()

    return call


def encoded(form: str, pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_output_has_the_inputs_format_and_is_that_of_a_file(run, tmp_path: Path, form: str) -> None:
    data = encoded(form)
    ending = {"JPEG": "jpg", "TIFF": "tif"}.get(form, form.lower())
    (tmp_path / f"a.{ending}").write_bytes(data)
    assert run("upscale", f"a.{ending}", "-o", f"b.{ending}", "-n", "tiny-x2")[0] == 0
    code, out, said = run("upscale", "-", "-o", "-", "-n", "tiny-x2", given=data)
    assert (code, out) == (0, (tmp_path / f"b.{ending}").read_bytes())
    assert f"stdin_out.{ending}  32×24" in said
    assert str(tmp_path) not in said and "/tmp" not in said


def test_one_stream_alone_another_format_and_restoration(run, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", PIXELS)
    code, out, _ = run("upscale", "a.png", "-o", "-", "--ext", "jpg", "--width", "20", "-n", "tiny-x2")
    with Image.open(io.BytesIO(out)) as image:
        assert (code, image.format, image.size) == (0, "JPEG", (20, 15))
    code, out, _ = run("upscale", "-i", "-", "-o", "b.png", "-n", "tiny-x2", given=encoded("GIF"))
    assert (code, out) == (0, b"")
    assert Image.open(tmp_path / "b.png").size == (32, 24)
    code, out, _ = run("restore", "-", "--task", "denoise", "-o", "-", given=encoded("PNG"))
    assert (code, Image.open(io.BytesIO(out)).size) == (0, (16, 12))


def test_what_is_no_one_image_is_refused_without_output(run, tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, PIXELS)
    alone = "is for one image alone"
    for arguments, given, expected in (
        (["-"], b"", "The standard input is empty"),
        (["-"], b"no image", "The standard input: not a PNG"),
        (["-", "in/a.png"], encoded("PNG"), alone),
        (["-", "-"], encoded("PNG"), alone),
        (["in"], b"", alone),
        (["in/*.png"], b"", alone),
        (["nosuch.png"], b"", "no such file"),
    ):
        code, out, said = run("upscale", *arguments, "-o", "-", "-n", "tiny-x2", given=given)
        assert (code, out) == (2, b"")
        assert expected in said
    code, out, said = run("upscale", "-", "-o", "-", "-n", "tiny-x2", given=encoded("PNG")[:90])
    assert (code, out) == (1, b"")
    assert "stdin.png: damaged or cut off" in said
