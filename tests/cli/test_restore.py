"""`lsm restore` from arguments to files and exit codes, with a small network that is not trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lsm.arch import LSM, build_preset
from lsm.cli import main
from lsm.image.io import read_image, write_image
from lsm.inference.upscaler import Upscaler
from lsm.weights import load_model, save_model

SMALL = {"embed_dim": 16, "depths": (2,), "num_heads": 2, "d_state": 2, "split_size": (4, 8)}


def model(task: str, **more: object) -> LSM:
    torch.manual_seed(0)
    return build_preset("tiny", 1, task=task, unshuffle=2, **SMALL, **more).eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_model(model("denoise", init="random"), path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(["restore", *map(str, arguments), "--device", "cpu"])
    return int(left.value.code or 0), capfd.readouterr().err


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_every_kind_keep_size_depth_and_channels(
    folder: Path, weights: Path, capfd: pytest.CaptureFixture[str], dtype: type, channels: int
) -> None:
    image = pixels(21, 34, channels, dtype=dtype)
    write_image(folder / "a.png", image)
    code, said = run(capfd, "a.png", "-o", "b.png", "--task", "denoise", "-n", weights)
    assert code == 0 and "1 of 1 restored" in said and "x1" in said
    result = read_image(folder / "b.png").pixels
    assert (result.shape, result.dtype) == (image.shape, image.dtype)
    assert not np.array_equal(result[..., :3], image[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(result[..., 3], image[..., 3])
    else:
        expected = Upscaler(load_model(weights), device="cpu")(image)
        np.testing.assert_array_equal(result, expected)


def test_transparency_is_dropped_where_asked(folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_image(folder / "a.png", pixels(9, 9, 4))
    assert run(capfd, "a.png", "-o", "b.png", "--task", "denoise", "-n", weights, "--drop-alpha")[0] == 0
    assert read_image(folder / "b.png").pixels.shape == (9, 9, 3)


def test_an_untrained_network_changes_nothing_down_to_one_pixel(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_model(model("jpeg"), folder / "identity.safetensors")
    (folder / "in").mkdir()
    for size in ((1, 1), (1, 7), (50, 3)):
        write_image(folder / "in" / f"{size[0]}x{size[1]}.png", pixels(*size, 3))
    code, said = run(capfd, "in", "-o", "out", "--task", "jpeg", "-n", "identity.safetensors", "--suffix", "")
    assert code == 0 and "3 of 3 restored" in said
    for path in (folder / "in").iterdir():
        np.testing.assert_array_equal(read_image(folder / "out" / path.name).pixels, read_image(path).pixels)


def test_what_comes_with_the_package_is_the_default(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(pixels(24, 24, 3)).save(folder / "a.jpg", quality=30)
    for task, name in (("jpeg", "fast-jpeg"), ("denoise", "tiny-denoise")):
        code, said = run(capfd, "a.jpg", "-o", f"{task}.png", "--task", task)
        assert code == 0 and name in said
        before, after = (read_image(folder / file).pixels for file in ("a.jpg", f"{task}.png"))
        assert before.shape == after.shape and (before != after).any()


def test_a_broken_file_does_not_stop_a_folder(folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "in").mkdir()
    write_image(folder / "in" / "a.png", pixels(8, 8, 3))
    Image.fromarray(pixels(8, 8, 3)).save(folder / "in" / "c.jpg")
    (folder / "in" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    code, said = run(capfd, "in", "-o", "out", "--task", "denoise", "-n", weights)
    assert code == 1
    assert "2 of 3 restored; 1 failed" in said and "b.png" in said.splitlines()[-1]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a_out.png", "c_out.jpg"]
    code, said = run(capfd, "in/*.jpg", "-o", "out", "--task", "denoise", "-n", weights, "--skip-existing")
    assert code == 0 and "0 of 0 restored; 1 skipped" in said


def test_tiles_are_multiples_of_windows_of_squares(
    folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_image(folder / "a.png", pixels(70, 50, 3))
    code, said = run(capfd, "a.png", "-o", "b.png", "--task", "denoise", "-n", weights, "-t", 40, "--tile-overlap", 8)
    assert code == 0 and "tiles of at most 32 (overlap 8)" in said
    assert read_image(folder / "b.png").pixels.shape == (70, 50, 3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a.png"], "--task"),
        (["--task", "denoise"], "Which images"),
        (["a.png", "--task", "denoize"], "Did you mean 'denoise'"),
        (["a.png", "--task", "jpeg", "-n", "{weights}"], "is a network for the task denoise, not jpeg"),
        (["a.png", "--task", "denoise", "-n", "tiny-x2"], "`lsm upscale`"),
        (["a.png", "--task", "denoise", "-n", "none.pth"], "none.pth"),
        (["a.png", "--task", "denoise", "-n", "{weights}", "--fp32", "--precision", "bf16"], "exclude"),
        (["a.png", "--task", "denoise", "-n", "{weights}", "-o", ".", "--suffix", ""], "overwritten"),
    ],
)
def test_wrong_usage_is_one_line(
    folder: Path, weights: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    write_image(folder / "a.png", pixels(8, 8, 3))
    code, said = run(capfd, *(argument.format(weights=weights) for argument in arguments))
    assert code == 2 and text in said and "Traceback" not in said
    assert sorted(path.name for path in folder.iterdir()) == ["a.png"]


def test_upscale_refuses_a_network_that_restores(
    folder: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_image(folder / "a.png", pixels(8, 8, 3))
    with pytest.raises(SystemExit) as left:
        main(["upscale", "a.png", "-n", str(weights)])
    assert left.value.code == 2
    assert "use `lsm restore` and the --task denoise" in capfd.readouterr().err


def test_info_says_the_task(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in (str(weights), "light-denoise"):
        with pytest.raises(SystemExit) as left:
            main(["info", name, "--output-size", "64x33", "--no-memory"])
        said = capfd.readouterr().out
        assert left.value.code in (0, None) and "denoise, paper recurrence" in said and "64×33 → 64×33" in said
