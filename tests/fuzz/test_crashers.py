"""Files that once broke a promise of SECURITY.md, and whole ones, through the fuzzers' own functions."""

from collections.abc import Callable
from pathlib import Path

import pytest

import lsm
from fuzz.harness import COMPILED, INSTRUMENTED
from fuzz.seeds import crashers, images, options, sounds
from fuzz.targets import TARGETS, BrokenPromise, image
from lsm.errors import InputError

RECORDED = [(target, path) for target in TARGETS for path in crashers(target)]


@pytest.mark.parametrize(("target", "path"), RECORDED, ids=lambda value: getattr(value, "name", value))
def test_what_once_broke_a_promise_does_so_no_more(target: str, path: Path) -> None:
    if target == "audio":
        pytest.importorskip("soundfile", reason="soundfile (extra `audio`) is not installed")
    TARGETS[target](path.read_bytes())


def test_every_target_has_a_folder_of_crashers_and_modules_that_guide_it() -> None:
    folder = Path(__file__).parent / "crashers"
    assert set(TARGETS) == set(INSTRUMENTED) >= {path.name for path in folder.iterdir() if path.is_dir()}
    scans = Path(lsm.__file__).parent / "scan"
    compiled = {f"lsm.scan.{path.stem}" for path in scans.glob("*.py") if "\nfrom numba import" in path.read_text()}
    assert compiled == set(COMPILED)


@pytest.mark.parametrize("seeds", [images, options], ids=lambda seeds: seeds.__name__)
def test_the_seeds_are_read(seeds: Callable[[], list[bytes]]) -> None:
    for data in seeds()[:3]:
        TARGETS["image" if seeds is images else "options"](data)


def test_the_seeds_of_audio_are_denoised() -> None:
    pytest.importorskip("soxr", reason="soxr (extra `audio`) is not installed")
    TARGETS["audio"](sounds()[0])


def test_the_fuzzers_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> None:
        def read(path: Path, most: int) -> None:
            raise InputError(text)

        monkeypatch.setattr("lsm.image.io.read_image", read)

    refuse("image.png: damaged.")
    image(b"x")
    for text in ("damaged.", "image.png: damaged.\nAnd more.", "image.png: " + "x" * 6000):
        refuse(text)
        with pytest.raises(BrokenPromise):
            image(b"x")

    def crash(path: Path, most: int) -> None:
        raise ValueError("damaged")

    monkeypatch.setattr("lsm.image.io.read_image", crash)
    with pytest.raises(ValueError, match="damaged"):
        image(b"x")
