"""The upscaler on stand-in networks whose right answer is known, and on the real one."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from lsm.arch import build_preset
from lsm.errors import CheckpointError, InputError, OptionError
from lsm.image.io import write_image
from lsm.image.metadata import Metadata
from lsm.image.pixels import Compression, ImageData
from lsm.inference import tiled as module
from lsm.inference.upscaler import Upscaler


class Nearest(nn.Module):
    """Repeats pixels; its result is known, and local."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.config = SimpleNamespace(upscale=scale, tile_multiple=8)
        self.weight = nn.Parameter(torch.ones(1))
        self.shapes: list[tuple[int, int]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.shapes.append((image.shape[2], image.shape[3]))
        scale = self.config.upscale
        return image.repeat_interleave(scale, 2).repeat_interleave(scale, 3) * self.weight


class Hungry(Nearest):
    """Runs out of memory above a number of pixels."""

    def __init__(self, limit: int, error: BaseException) -> None:
        super().__init__()
        self.limit, self.error = limit, error

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[2] * image.shape[3] > self.limit:
            raise self.error
        return super().forward(image)


class HalfOverflow(Nearest):
    """Overflows wherever autocast is on and the tile is bright; never in full precision."""

    def forward(self, image: Tensor) -> Tensor:
        result = super().forward(image)
        return result / 0 if torch.is_autocast_enabled("cpu") and image.mean() > 0.5 else result


def noise(channels: int, dtype: type = np.uint8, height: int = 23, width: int = 37) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return rng.integers(1, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


def repeat(pixels: np.ndarray, scale: int = 2) -> np.ndarray:
    return pixels.repeat(scale, 0).repeat(scale, 1)


@pytest.mark.parametrize("tile", ["auto", 0, 16, 24])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_kind_of_pixels_in_every_kind_of_tile(channels: int, dtype: type, tile: int | str) -> None:
    pixels = noise(channels, dtype)
    if channels in (2, 4):  # colours of faint pixels are mixed with their neighbours'
        pixels[..., -1] |= np.iinfo(dtype).max // 2 + 1
    result = Upscaler(Nearest(), tile=tile, tile_overlap=8, device="cpu")(pixels)
    assert result.dtype == dtype
    assert np.abs(result.astype(int) - repeat(pixels)).max() <= (0 if dtype == np.uint8 else 1)


def test_arrays_and_files_give_arrays_of_their_kind(tmp_path: Path) -> None:
    upscale = Upscaler(Nearest(), device="cpu")
    assert upscale(noise(1)[..., 0]).shape == (46, 74)
    write_image(tmp_path / "a.png", noise(1))
    np.testing.assert_array_equal(upscale(tmp_path / "a.png"), repeat(noise(1)[..., 0]))
    write_image(tmp_path / "b.png", noise(3, np.uint16))
    assert upscale(str(tmp_path / "b.png")).dtype == np.uint16
    with pytest.raises(InputError, match="uint8 or uint16"):
        upscale(noise(3).astype(np.float64))
    with pytest.raises(InputError, match="uint8 or uint16"):
        upscale(np.zeros((0, 4, 3), np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 3), (2, 65)])
def test_thin_images(size: tuple[int, int]) -> None:
    pixels = noise(3, height=size[0], width=size[1])
    for tile in ("auto", 0, 16):
        np.testing.assert_array_equal(
            Upscaler(Nearest(), tile=tile, tile_overlap=8, device="cpu")(pixels), repeat(pixels)
        )


def test_tensor_is_the_network_s_own_output_and_tiles_are_near() -> None:
    torch.manual_seed(0)
    model = build_preset("tiny", scale=2).eval()
    image = torch.rand(1, 3, 70, 50)
    with torch.inference_mode():
        whole = model(image)
    assert torch.equal(Upscaler(model, tile=0, device="cpu").upscale_tensor(image), whole)
    tiled = Upscaler(model, tile=48, tile_overlap=16, device="cpu").upscale_tensor(image)
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().max() < 0.02
    for wrong in (image[0], torch.rand(2, 3, 8, 8), torch.rand(1, 1, 8, 8), torch.rand(1, 3, 0, 8)):
        with pytest.raises(InputError, match="shape"):
            Upscaler(model, device="cpu").upscale_tensor(wrong)


def test_other_images_do_not_change_the_bits() -> None:
    torch.manual_seed(0)
    model = build_preset("tiny", scale=2, recurrence="official").eval()  # draws random categories
    images = [noise(3, height=40, width=40), noise(1), noise(4)]
    upscale = Upscaler(model, tile=32, tile_overlap=16, device="cpu")
    together = [upscale(image) for image in images]
    state = torch.get_rng_state()
    alone = Upscaler(model, tile=32, tile_overlap=16, device="cpu")(images[2])
    np.testing.assert_array_equal(together[2], alone)
    assert torch.equal(torch.get_rng_state(), state)
    other_seed = Upscaler(model, tile=32, tile_overlap=16, device="cpu", seed=1).upscale_tensor(torch.rand(1, 3, 9, 9))
    assert torch.isfinite(other_seed).all()


def test_seed_decides_what_is_drawn() -> None:
    class Draws(Nearest):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image) + torch.rand(1)

    image = torch.rand(1, 3, 20, 20)
    first, again, other = (Upscaler(Draws(), device="cpu", seed=s).upscale_tensor(image) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_tile_is_halved_until_it_fits(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    pixels = noise(3, height=100, width=90)
    upscale = Upscaler(Hungry(24 * 24, error), tile=64, tile_overlap=16, device="cpu", frame=0)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(upscale(pixels), repeat(pixels))
    assert "tiles of 32" in caplog.text
    assert "tiles of 16" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(upscale(pixels[:16, :16]), repeat(pixels[:16, :16]))
    assert not caplog.text, "the next image starts from the tile that was asked for"


def test_memory_that_never_suffices_is_reported() -> None:
    with pytest.raises(InputError, match="Not enough memory"):
        Upscaler(Hungry(10, MemoryError()), tile=32, tile_overlap=8, device="cpu")(noise(3))
    with pytest.raises(InputError, match="let `tile` be auto"):
        Upscaler(Hungry(10, MemoryError()), tile=0, device="cpu")(noise(3))
    with pytest.raises(RuntimeError, match="a bug"):
        Upscaler(Hungry(10, RuntimeError("a bug")), tile=32, tile_overlap=8, device="cpu")(noise(3))


def test_auto_takes_a_tile_that_fits_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory_budget", lambda device: 10_000)
    monkeypatch.setattr(module, "peak_memory", lambda run, device: (run(), 16 * 16 * 4)[1])
    model = Nearest()
    upscale = Upscaler(model, device="cpu", tile_overlap=16)
    assert upscale.tile_for(1000, 1000) == 32
    assert upscale.tile_for(3, 300) == 0, "no more pixels than a tile"
    model.shapes.clear()
    upscale(noise(3, height=70, width=70))
    assert max(max(shape) for shape in model.shapes) == 32


def test_overflow_is_repaired_in_full_precision(caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 32:] = 200
    upscale = Upscaler(HalfOverflow(), tile=32, tile_overlap=0, precision="bf16", device="cpu")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(upscale(pixels), repeat(pixels))
    assert caplog.text.count("overflow") == 1
    broken = Nearest()
    broken.weight.data.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        Upscaler(broken, device="cpu")(pixels)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_short_precisions_of_the_real_network(precision: str) -> None:
    torch.manual_seed(0)
    model, image = build_preset("tiny", scale=2).eval(), torch.rand(1, 3, 40, 40)
    full = Upscaler(model, device="cpu").upscale_tensor(image)
    short = Upscaler(model, device="cpu", precision=precision).upscale_tensor(image)
    assert not torch.equal(full, short)
    assert (full - short).abs().max() < 0.1


def test_ensemble_is_the_mean_of_eight_views() -> None:
    torch.manual_seed(0)
    model, image = build_preset("tiny", scale=2).eval(), torch.rand(1, 3, 21, 34)
    result = Upscaler(model, tile=0, device="cpu", ensemble=True).upscale_tensor(image)
    views = []
    with torch.inference_mode():
        for transpose in (False, True):
            for axes in ([], [2], [3], [2, 3]):
                view = (image.transpose(2, 3) if transpose else image).flip(axes)
                back = model(view).flip(axes)
                views.append(back.transpose(2, 3) if transpose else back)
    torch.testing.assert_close(result, torch.stack(views).mean(0), atol=1e-5, rtol=0)
    mirrored = Upscaler(model, tile=0, device="cpu", ensemble=True).upscale_tensor(image.flip(3))
    torch.testing.assert_close(mirrored.flip(3), result, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("scale", "size"), [(1, (23, 37)), (1.5, (34, 56)), (2, (46, 74)), (3, (69, 111)), (0.01, (1, 1))]
)
def test_other_scales_are_resampled(scale: float, size: tuple[int, int]) -> None:
    for dtype in (np.uint8, np.uint16):
        result = Upscaler(Nearest(), device="cpu", scale=scale)(noise(4, dtype))
        assert result.shape == (*size, 4)
        assert result.dtype == dtype
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    result = Upscaler(Nearest(4), device="cpu", scale=2)(smooth)
    expected = np.asarray(Image.fromarray(smooth).resize((128, 128), Image.Resampling.BILINEAR))
    assert np.abs(result.astype(int) - expected).max() <= 4


def test_hidden_colour_does_not_bleed_and_flat_alpha_stays_flat() -> None:
    class Blur(Nearest):
        def forward(self, image: Tensor) -> Tensor:
            image = functional.avg_pool2d(functional.pad(image, (1, 1, 1, 1), "replicate"), 3, 1) * 0.97
            return super().forward(image)

    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:, 10:] = (200, 100, 50, 255)
    for alpha in ("model", "bicubic"):
        result = Upscaler(Blur(), device="cpu", alpha=alpha)(pixels)
        visible = result[..., 3] > 0
        assert np.abs(result[visible][:, :3].astype(int) - np.array([194, 97, 48])).max() <= 1, "no black from outside"
        assert (result[:, 26:, 3] == 255).all()
        assert (result[:, :14, 3] == 0).all()
    assert Upscaler(Blur(), device="cpu", alpha="drop")(pixels).shape == (40, 40, 3)


def test_progress_counts_every_tile() -> None:
    calls: list[tuple[int, int]] = []
    upscale = Upscaler(Nearest(), tile=16, tile_overlap=8, device="cpu")
    upscale(noise(3), lambda done, total: calls.append((done, total)))
    assert calls == [(i, len(calls)) for i in range(1, len(calls) + 1)]
    one_pass, calls = len(calls), []
    upscale(noise(4), lambda done, total: calls.append((done, total)))
    assert calls == [(i, 2 * one_pass) for i in range(1, 2 * one_pass + 1)], "alpha is a second pass"


def test_metadata_is_kept() -> None:
    image = ImageData(noise(3), Metadata(icc_profile=b"profile", exif=b"exif"), Compression(lossless=False))
    result = Upscaler(Nearest(), device="cpu").upscale_image(image)
    assert (result.metadata, result.compression) == (image.metadata, image.compression)


def test_training_mode_is_put_back() -> None:
    model = Nearest().train()
    Upscaler(model, device="cpu")(noise(3))
    assert model.training


@pytest.mark.parametrize(
    "wrong",
    [
        {"tile": "large"},
        {"tile": 8},
        {"tile": 16, "tile_overlap": 9},
        {"precision": "fp64"},
        {"device": "tpu"},
        {"device": "cuda:99"},
        {"alpha": "keep"},
        {"scale": 0.0},
        {"scale": -2.0},
    ],
)
def test_wrong_options(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Upscaler(Nearest(), **{"device": "cpu", **wrong})


def test_tiles_of_a_network_behind_a_pixel_unshuffle_begin_where_its_windows_do():
    """Attention alone sees the same windows in a tile as in the whole image."""
    small = {"embed_dim": 8, "depths": (2,), "num_heads": 2, "d_state": 2, "split_size": (4, 8)}
    restorer = build_preset("tiny", 1, task="denoise", unshuffle=2, placement="attention", init="random", **small)
    image = torch.rand(1, 3, 61, 150)
    whole, tiled = (Upscaler(restorer, tile=tile, device="cpu") for tile in (0, 79))
    assert tiled.max_tile == 64  # windows of 8 tokens are 16 pixels
    difference = (whole.upscale_tensor(image) - tiled.upscale_tensor(image)).abs()
    assert difference.shape == image.shape and difference.max() < 1e-4
