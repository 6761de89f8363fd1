"""The flags of `lsm upscale` that say how outputs are made: size, quality, resolution, pages."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, JpegImagePlugin

from lsm.cli import main
from lsm.image.jpeg import quality_of

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Return a function that upscales by 2, in an own folder, and returns the code and what was said."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS).save("a.png")
    Image.fromarray(PIXELS).save("a.jpg", quality=85, subsampling=1, dpi=(300, 300))

    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(["upscale", *arguments, "--device", "cpu", "--overwrite", "-n", "tiny-x2"])
        return int(left.value.code or 0), capfd.readouterr().err

    return call


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        ("--size 40x40", (40, 30)),
        ("--size 40X40 --fit fill", (40, 40)),
        ("--size 10×20 --fit fill", (10, 20)),
        ("--width 50", (50, 38)),
        ("--height 6", (8, 6)),
        ("--width 30 --height 40", (30, 22)),
        ("--max-side 20", (20, 15)),
        ("--max_side 999", (32, 24)),
        ("-s 3 --max-side 40", (40, 30)),
        ("-s 3", (48, 36)),
    ],
)
def test_sizes(run, flags: str, size: tuple[int, int]) -> None:
    code, said = run("a.png", "-o", "b.png", *flags.split())
    assert code == 0, said
    assert Image.open("b.png").size == size
    assert f"b.png  {size[0]}×{size[1]}" in said


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--size 40", "is no width and height, such as 1920x1080"),
        ("--size 40x", "is no width and height"),
        ("--size 0x10", "--width must be at least 1"),
        ("--size 4x4 --height 5", "--size and --width or --height exclude each other"),
        ("--size 4x4 -s 2", "--scale and --size, --width or --height exclude each other"),
        ("--width 4 -s 2", "exclude each other"),
        ("--fit fill", "--fit fill needs a width and a height"),
        ("--fit stretch", "Known: fill, fit"),
        ("--max-side 0", "--max-side must be at least 1"),
        ("--quality 101", "1 to 100"),
        ("--subsampling 4:1:1", "4:4:4, 4:2:2, 4:2:0"),
        ("--dpi 300", "Known: keep, scale"),
        ("--pages 2", "Known: all, one"),
    ],
)
def test_wrong_values_are_one_line_in_the_flags_words(run, flags: str, reason: str) -> None:
    code, said = run("a.png", "-o", "b.png", *flags.split())
    assert code == 2
    assert reason in said
    assert said.startswith("lsm: error: ") and said.count("\n") == 1
    assert not Path("b.png").exists()


def test_quality_subsampling_and_resolution_follow_the_input_or_the_flags(run) -> None:
    found = []
    for flags in ("", "--quality 30", "--subsampling 4:2:0 --dpi scale", "--quality 97 --subsampling 4:4:4"):
        assert run("a.jpg", "-o", "b.jpg", *flags.split())[0] == 0
        with Image.open("b.jpg") as image:
            found.append((quality_of(image), JpegImagePlugin.get_sampling(image), image.info["dpi"]))
    assert found == [(85, 1, (300, 300)), (30, 1, (300, 300)), (85, 2, (600, 600)), (97, 0, (300, 300))]


def test_all_pages(run) -> None:
    with tifffile.TiffWriter("p.tif") as file:
        for page in (PIXELS, PIXELS[:6]):
            file.write(page, photometric="rgb")
    code, said = run("p.tif", "-o", "b.tif", "--pages", "all")
    assert (code, "b.tif  2 pages, 32×24" in said) == (0, True)
    with tifffile.TiffFile("b.tif") as pages:
        assert [page.shape for page in pages.pages] == [(24, 32, 3), (12, 32, 3)]
    code, said = run("p.tif", "-o", "c.tif")
    assert (code, "p.tif: holds 2 pages; upscale all of them (--pages all)" in said) == (1, True)


def test_names_of_inputs_and_outputs(run, tmp_path: Path) -> None:
    for arguments, reason in (
        (["nosuch.png", "-o", "b.png"], "lsm: error: nosuch.png: no such file or folder."),
        (["no*.png", "-o", "b.png"], "no image matches this pattern"),
        (["a.*", "-o", "b.png"], "several inputs need a folder"),
        (["a.png", "-o", f"{'x' * 260}.png"], "too long"),
    ):
        code, said = run(*arguments)
        assert (code, reason in said) == (2, True), said
    code, said = run("a.p*", "-o", "b.png")
    assert (code, Image.open("b.png").size) == (0, (32, 24))
    Path("in/sub").mkdir(parents=True)
    for name in ("A.png", "sub/b.png"):
        Image.fromarray(PIXELS).save(f"in/{name}")
    for name in ("notes.txt", "sub/README"):
        Path("in", name).touch()
    code, said = run("in", "-o", "out")
    assert said.splitlines()[-1] == "2 of 2 upscaled; left out, as they are no images: 1 .txt, 1 no ending."


def test_what_another_run_makes_meanwhile_is_skipped_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from lsm.batch import run as batch

    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(PIXELS).save(name)
    Path("out").mkdir()
    Path("out/a_out.png").write_text("of a run before")
    read = batch.read_image

    def meanwhile(path: Path, limit: int):
        if path.name == "c.png":
            Path("out/c_out.png").write_text("of another run")  # after the check before the work
        return read(path, limit)

    monkeypatch.setattr(batch, "read_image", meanwhile)
    with pytest.raises(SystemExit) as left:
        main(["upscale", "a.png", "b.png", "c.png", "-o", "out", "--skip-existing", "--device", "cpu", "-n", "tiny-x2"])
    assert not left.value.code
    assert capfd.readouterr().err.splitlines()[-1] == "1 of 2 upscaled; 2 skipped, their results exist."
    assert Path("out/c_out.png").read_text() == "of another run"
