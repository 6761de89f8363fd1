"""Every bash, console and python block of README.md, docs/ and datasets/ is run, beside small images and sounds.

What a page downloads comes from stand-ins of the owners' archives.

What cannot run here says so in the page, by HTML comments right above the block:

    <!-- not run: REASON -->                     the block
    <!-- not run, lines with "TEXT": REASON -->  the commands that hold TEXT
    <!-- run with: OLD => NEW -->                as it stands, but for OLD; OLD must be there

A Python block that begins with `# NAME.py` is that file, which later blocks use.
"""

import logging
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import stand_ins
import torch

from lsm.arch import build_preset
from lsm.cli import main
from lsm.image.io import write_image
from lsm.mixers import registry
from lsm.scan.torch_version import TORCH_26
from lsm.weights import load_model, save_model
from lsm.weights.resolve import embedded_path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "datasets" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("bash", "console", "python")
QUICKER = {"--output-size 1280x720": "--output-size 128x72", "--size 3840x2160": "--size 96x64"}
"""What is made smaller in every command, since it takes seconds as it stands."""
FENCE = re.compile(
    r"^(?P<marks>(?:<!--(?:(?!-->).)*-->\n)*)```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    skipped: bool = False
    skipped_lines: tuple[str, ...] = ()

    @property
    def commands(self) -> list[str]:
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if shlex.split(line, comments=True)]


def blocks(page: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(page):
        if match["language"] not in LANGUAGES:
            continue
        text, skipped, lines = match["text"], False, []
        for mark in re.findall(r"<!-- *(.*?) *-->", match["marks"]):
            if mark.startswith("not run: ") and mark.removeprefix("not run: "):
                skipped = True
            elif part := re.fullmatch(r'not run, lines with "(.+)": .+', mark):
                assert part[1] in text, f"no line with {part[1]!r}"
                lines.append(part[1])
            elif part := re.fullmatch(r"run with: (.+?) => (.*)", mark):
                assert part[1] in text, f"{part[1]!r} is to be replaced and is not there"
                text = text.replace(part[1], part[2])
            elif mark.startswith("install and "):  # .ci/run does it, in a fresh environment
                skipped = True
            else:
                raise AssertionError(f"an unknown mark: {mark}")
        found.append(Block(match["language"], text, page[: match.start("text")].count("\n") + 1, skipped, tuple(lines)))
    return found


def run_command(command: str) -> None:
    """Run what is ours in this process, and look for what is said of other programs; anything else is a mistake."""
    program, *arguments = shlex.split(command, comments=True)
    if program == "lsm":
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert not left.value.code, f"exit code {left.value.code}"
    elif program == "python" and arguments[0].startswith(("scripts/", "benchmarks/")):
        before = sys.argv
        sys.argv = arguments
        try:
            runpy.run_path(arguments[0], run_name="__main__")
        except SystemExit as left:
            assert not left.code, f"exit code {left.code}"
        finally:
            sys.argv = before
    else:
        raise AssertionError(f"{program} cannot be run here; say so above the block: <!-- not run: REASON -->")


def run_block(block: Block) -> None:
    if block.language == "python" and (name := re.match(r"# (\w+\.py)$", block.text, re.MULTILINE)):
        Path(name[1]).write_text(block.text, encoding="utf-8")  # a file that the page's commands name
        return
    if block.language == "python":
        exec(compile(block.text, "block", "exec"), {"__name__": "__main__"})
        return
    for command in block.commands:
        for text, smaller in QUICKER.items():
            command = command.replace(text, smaller)
        if not any(text in command for text in block.skipped_lines):
            try:
                run_command(command)
            except BaseException as error:
                raise AssertionError(f"{command}: {error}") from error


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages name."""
    folder = tmp_path_factory.mktemp("laid-out")
    rng = np.random.default_rng(0)

    def image(name: str, height: int = 20, width: int = 24) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, rng.integers(0, 256, (height, width, 3), dtype=np.uint8))

    for name in ("photo.jpg", "photo.png", "tile.png", "scan.tif", "scans/a.tif"):
        image(name)
    for name in (
        "photos/a.png",
        "photos/sub/b.jpg",
        *(f"datasets/SR/{name}/HR/a.png" for name in ("Set5", "Set14", "B100")),
    ):
        image(name, 96, 108)
    for number in range(4):
        image(f"datasets/BSDS400/HR/{number}.png", 40, 48)
    (folder / "experiments").mkdir()
    for name in ("options", "scripts", "benchmarks", "docs", "experiments/plans", "experiments/states"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("my.safetensors", "mine.safetensors"):
        shutil.copy(embedded_path("tiny-x2"), folder / name)
    torch.save({"params": load_model("tiny-x4").state_dict()}, folder / "net_g_latest.pth")
    small = {"embed_dim": 16, "depths": (1,), "placement": "mixer", "d_state": 2}  # an export takes long
    save_model(build_preset("tiny", 4, **small), folder / "small-x4.safetensors")
    sounds(folder, rng)
    films(folder, rng)
    return folder


@pytest.fixture
def desk(laid_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of that folder, the process' current one, and the process as it was afterwards."""
    shutil.copytree(laid_out, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lsm.audio.training.VALIDATION_SIGNALS", 2)
    deterministic, mixers, level = torch.are_deterministic_algorithms_enabled(), registry.MIXERS, logging.root.level
    precision = torch.get_float32_matmul_precision()
    yield tmp_path
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision(precision)
    registry.MIXERS = mixers
    logging.root.setLevel(level)


def films(folder: Path, rng: np.random.Generator) -> None:
    """Two films of two frames, and the frames; none before Python 3.11, where the extra `video` brings nothing."""
    if sys.version_info < (3, 11):
        return
    av = pytest.importorskip("av")
    frames = rng.integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    (folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        write_image(folder / "frames" / f"f_{number:04}.png", frame)
    for name in ("film.mp4", "film.mkv"):
        with av.open(folder / name, "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 24, 16, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
            container.mux(stream.encode())


def sounds(folder: Path, rng: np.random.Generator) -> None:
    soundfile = pytest.importorskip("soundfile")
    for name in ("noisy.wav", "takes/a.wav", "noises/a.wav", *(f"speech/{number}.wav" for number in range(3))):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, rng.standard_normal(20000) * 0.1, 16000)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page.read_text(encoding="utf-8"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_blocks_of_a_page_run(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "lsm data download" not in page.read_text(encoding="utf-8"):
        run_page(page)
        return
    shutil.rmtree(desk / "datasets" / "SR")
    with stand_ins.served(desk / "served", monkeypatch):
        run_page(page)


def run_page(page: Path) -> None:
    if page.stem == "video" and sys.version_info < (3, 11):
        pytest.skip("the extra `video` needs Python 3.11")
    if page.stem == "deployment" and TORCH_26:
        pytest.skip("torch 2.6 cannot export")
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.skipped or ("upscale-video" in block.text and sys.version_info < (3, 11)):
            continue
        try:
            run_block(block)
        except BaseException as error:
            raise AssertionError(f"{page.relative_to(ROOT)}, line {block.line}: {error}") from error


def test_what_is_installed_is_an_extra() -> None:
    section = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = re.findall(r"^(\w+) = \[", section, re.MULTILINE)
    named = {name for page in PAGES for name in re.findall(r"pip install [^\n]*?\[([\w,]+)\]", page.read_text())}
    assert {part for name in named for part in name.split(",")} <= set(extras)


PAGE = """
<!-- run with: 16 => 20 -->
```bash
lsm upscale photo.png -o a.png \\
    --device cpu -n tiny-x2 -t 16   # comment
lsm upscale photo.png {flag} b.png --device cpu
```
"""


@pytest.mark.parametrize(
    ("page", "error"),
    [
        (PAGE.replace("{flag}", "-o").replace("20", "64"), None),
        (PAGE.replace("{flag}", "--no-such-flag").replace("20", "64"), "exit code 2"),
        (PAGE.replace("{flag}", "-o"), "exit code 2"),  # the replaced number is used: 20 is too small for a tile
        ("```python\nassert 1 == 2\n```\n", "Error"),
        ("```console\n$ rm -rf x\n```\n", "cannot be run here"),
        ("<!-- not run: needs a GPU -->\n```bash\nrm -rf x\n```\n", None),
        ("<!-- not run, lines with \"rm\": why -->\n```bash\nrm -rf x\nlsm models\n```\n", None),
        ("```yaml\n{not: code\n```\n", None),
    ],
)  # fmt: skip
def test_this_test_can_fail(page: str, error: str | None, desk: Path) -> None:
    def run() -> None:
        for block in blocks(page):
            if not block.skipped:
                run_block(block)

    if error is None:
        run()
    else:
        with pytest.raises(AssertionError, match=error if error != "Error" else None):
            run()


@pytest.mark.parametrize(
    "page",
    [
        "<!-- run with: nothing => x -->\n```bash\nlsm models\n```\n",
        "<!-- not run -->\n```bash\nlsm models\n```\n",
        '<!-- not run, lines with "pip": x -->\n```bash\nlsm models\n```\n',
    ],
)
def test_wrong_marks_are_refused(page: str) -> None:
    with pytest.raises(AssertionError):
        blocks(page)
