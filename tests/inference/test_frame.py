"""The frame around an image: edges as good as the middle, flat images flat, seamless textures seamless."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lsm.errors import OptionError
from lsm.image.resize import imresize
from lsm.inference.frame import crop_band, frame_pixels, frame_tensor
from lsm.inference.upscaler import Upscaler
from lsm.weights.load import load_model


class Blur(nn.Module):
    """A convolution that sees zeros beyond the edge, 7×7, then pixels repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(upscale=2, tile_multiple=8)
        self.conv = nn.Conv2d(3, 3, 7, padding=3, groups=3, bias=False)
        nn.init.constant_(self.conv.weight, 1 / 49)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(image).repeat_interleave(2, 2).repeat_interleave(2, 3)


def texture(size: int = 32) -> np.ndarray:
    """A texture without seams, whose opposite edges continue each other."""
    y, x = np.mgrid[:size, :size] * 2 * np.pi / size
    waves = [np.sin(2 * x + y + 1), np.cos(3 * y - x + 2), np.sin(x - 2 * y + 0.5)]
    return np.uint8(np.stack(waves, -1) * 100 + 128)


def border_step(image: np.ndarray) -> float:
    """The mean step over the border of the repeated image."""
    values = image.astype(float)
    return float((np.abs(values[0] - values[-1]).mean() + np.abs(values[:, 0] - values[:, -1]).mean()) / 2)


@pytest.mark.parametrize("size", [(1, 1), (3, 20), (9, 5)])
@pytest.mark.parametrize("wrap", [False, True])
def test_frames_are_numpys_padding_for_arrays_and_tensors(size, wrap):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="wrap" if wrap else "symmetric")
    np.testing.assert_array_equal(frame_pixels(image, 8, wrap), expected)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    np.testing.assert_array_equal(frame_tensor(tensor, 8, wrap)[0].permute(1, 2, 0).numpy(), expected)


def test_bands_are_cropped_whatever_their_height():
    full = torch.arange(30 * 12).reshape(1, 30, 12)
    for height in (1, 5, 13, 30):
        result = np.full((22, 4), -1)
        for top in range(0, 30, height):
            rows, inner = crop_band(top, full[:, top : top + height], 4, 22)
            result[rows] = inner[0].numpy()
        np.testing.assert_array_equal(result, full[0, 4:26, 4:8].numpy())


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (2, 30)])
def test_flat_images_stay_flat(size):
    image = np.full((*size, 3), (200, 30, 30), np.uint8)
    assert (Upscaler(Blur(), device="cpu")(image) == (200, 30, 30)).all()
    tensor = torch.from_numpy(image).permute(2, 0, 1) / 255
    np.testing.assert_allclose(Upscaler(Blur(), device="cpu")(tensor)[0], 200 / 255, atol=1e-6)
    bare = Upscaler(Blur(), device="cpu", frame=0)(image)
    assert abs(int(bare[0, 0, 0]) - 200) > 50  # what the frame is there for


def test_tiles_have_the_frame_of_the_whole_image():
    image = texture(40)
    whole = Upscaler(Blur(), device="cpu", tile=0)(image)
    tiled = Upscaler(Blur(), device="cpu", tile=24, tile_overlap=8)(image)
    corners = np.ix_([0, -1], [0, -1])
    assert np.abs(whole.astype(int) - tiled)[corners].max() <= 1


def test_a_wrapped_texture_is_that_of_its_repetition():
    image = texture()
    wrapped = Upscaler(Blur(), device="cpu", wrap=True)(image)
    repeated = Upscaler(Blur(), device="cpu")(np.tile(image, (3, 3, 1)))[64:128, 64:128]
    np.testing.assert_array_equal(wrapped, repeated)


@pytest.fixture(scope="module")
def network():
    return load_model("tiny-x4")


def test_the_real_network_on_flat_colours_and_a_single_pixel(network):
    framed, bare = Upscaler(network, device="cpu"), Upscaler(network, device="cpu", frame=0)
    for colour, size in (((200, 30, 30), 16), ((95, 130, 194), 1)):
        image = np.full((size, size, 3), colour, np.uint8)
        error = np.abs(framed(image).astype(int) - colour).max()
        assert error <= 2 < np.abs(bare(image).astype(int) - colour).max()


def test_the_real_network_wraps_textures(network):
    image = texture()
    step = border_step(Upscaler(network, device="cpu", wrap=True)(image))
    expected = border_step(imresize(np.tile(image, (3, 3, 1)), 4.0)[128:256, 128:256])
    assert step < 1.5 * expected
    assert step < 0.9 * border_step(Upscaler(network, device="cpu")(image))


def test_a_frame_is_a_whole_number():
    with pytest.raises(OptionError, match="`frame`"):
        Upscaler(Blur(), device="cpu", frame=-1)
