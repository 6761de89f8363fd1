"""Every kind of image that an upscaler takes comes back as its kind, with the pixels of the array."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lsm.errors import InputError
from lsm.image.io import write_image
from lsm.inference.upscaler import Upscaler

RNG = np.random.default_rng(0)


class Nearest(nn.Module):
    """Repeats pixels."""

    config = SimpleNamespace(upscale=2, tile_multiple=8)

    def forward(self, image: Tensor) -> Tensor:
        return image.repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.fixture
def upscale() -> Upscaler:
    return Upscaler(Nearest(), device="cpu")


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RNG.integers(1, np.iinfo(dtype).max, shape, dtype=dtype)


def repeat(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize(("shape", "mode"), [((9, 7), "L"), ((9, 7, 2), "LA"), ((9, 7, 3), "RGB"), ((9, 7, 4), "RGBA")])
def test_pillow_images(upscale, shape, mode):
    pixels = noise(*shape)
    if mode in ("LA", "RGBA"):
        pixels[..., -1] = 255
    image = Image.fromarray(pixels)
    image.info["icc_profile"] = b"profile"
    result = upscale(image)
    assert isinstance(result, Image.Image) and result.mode == mode and result.info["icc_profile"] == b"profile"
    np.testing.assert_array_equal(np.asarray(result), repeat(pixels))


def test_pillow_images_of_other_modes(upscale):
    deep = noise(6, 5, dtype=np.uint16)
    result = upscale(Image.fromarray(deep))
    assert result.mode.startswith("I;16")
    np.testing.assert_array_equal(np.asarray(result), repeat(deep))
    photo = Image.fromarray(noise(8, 8, 3))
    palette = photo.quantize(4)
    np.testing.assert_array_equal(np.asarray(upscale(palette)), repeat(np.asarray(palette.convert("RGB"))))
    palette.info["transparency"] = 0
    assert upscale(palette).mode == "RGBA"
    bits = Image.fromarray(noise(8, 8)).convert("1")
    np.testing.assert_array_equal(np.asarray(upscale(bits)), repeat(np.asarray(bits.convert("L"))))
    with pytest.raises(InputError, match="'F'"):
        upscale(photo.convert("F"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("shape", [(3, 6, 5), (1, 6, 5), (2, 3, 6, 5), (4, 1, 6, 5)])
def test_tensors(upscale, shape, dtype):
    image = torch.rand(shape, dtype=dtype)
    result = upscale(image)
    assert result.dtype == dtype
    expected = image.repeat_interleave(2, -2).repeat_interleave(2, -1)
    torch.testing.assert_close(result, expected, rtol=1e-3 if dtype == torch.float16 else 1e-6, atol=1e-6)


def test_a_tensor_is_resampled_like_an_array():
    upscale = Upscaler(Nearest(), device="cpu", scale=1.5)
    pixels = noise(20, 14, 3, dtype=np.uint16)
    image = torch.from_numpy(pixels.astype(np.float32) / 65535).permute(2, 0, 1)
    done: list[tuple[int, int]] = []
    result = upscale(torch.stack([image, image]), lambda now, total: done.append((now, total)))
    assert done == [(1, 2), (2, 2)]
    expected = upscale(pixels).astype(np.float32) / 65535
    assert result.shape == (2, 3, 30, 21)
    assert np.abs(result[1].permute(1, 2, 0).numpy() - expected).max() < 2 / 65535


@pytest.mark.parametrize(("name", "form"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.tif", "TIFF")])
def test_bytes_and_files_and_paths(upscale, tmp_path: Path, name, form):
    write_image(tmp_path / name, noise(10, 12, 3))
    data = (tmp_path / name).read_bytes()
    expected = upscale(tmp_path / name)
    assert isinstance(expected, np.ndarray)
    result = upscale(data)
    with Image.open(io.BytesIO(result)) as opened:
        assert (opened.format, opened.size) == (form, (24, 20))
    with (tmp_path / name).open("rb") as file:
        np.testing.assert_array_equal(upscale(file), expected)
    np.testing.assert_array_equal(upscale(io.BytesIO(data)), expected)
    np.testing.assert_array_equal(upscale(str(tmp_path / name)), expected)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (7, "not int"),
        (None, "not NoneType"),
        ([[1, 2]], "Pillow image"),
        (np.zeros((3, 3), np.int32), "uint8 or uint16"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "float tensor"),
        (torch.zeros(4, 4), "shape"),
        (torch.zeros(2, 4, 4), r"\(2, 4, 4\)"),
        (torch.full((3, 4, 4), 255.0), r"\[0, 1\]"),
        (torch.full((3, 4, 4), float("nan")), r"\[0, 1\]"),
        (b"no image", "The bytes: not a"),
        (b"", "The bytes: the file is empty"),
        (io.StringIO("text"), "'rb'"),
    ],
)
def test_anything_else_is_refused_in_one_line(upscale, wrong, text):
    with pytest.raises(InputError, match=text) as caught:
        upscale(wrong)
    assert "\n" not in str(caught.value) and "/tmp" not in str(caught.value)
