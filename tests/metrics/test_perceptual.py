"""LPIPS and DISTS against their authors' packages; the networks have random weights, since ImageNet's are fetched."""

import numpy as np
import pytest
import torch
import torchvision

from lsm.errors import InputError, LSMError, OptionError
from lsm.metrics import perceptual

lpips_package = pytest.importorskip("lpips")
dists_package = pytest.importorskip("DISTS_pytorch")
METRICS = {"lpips": perceptual.lpips, "dists": perceptual.dists}


@pytest.fixture
def random_weights(monkeypatch):
    """Let torchvision draw the weights that it would fetch."""
    for name in ("alexnet", "vgg16"):
        build = getattr(torchvision.models, name)
        monkeypatch.setattr(torchvision.models, name, lambda build=build, **_: build(weights=None))
    perceptual.load_network.cache_clear()
    yield
    perceptual.load_network.cache_clear()


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (72, 80, 3), dtype=np.uint8)
    return image, np.uint8(np.clip(image + rng.normal(0, 20, image.shape), 0, 255))


@pytest.mark.parametrize("name", METRICS)
def test_values_are_those_of_the_package_on_the_cropped_images(random_weights, pair, name):
    first, second = pair
    found = METRICS[name](first, second, 4)
    inner = [torch.tensor(image[4:-4, 4:-4]).permute(2, 0, 1)[None] / 255 for image in pair]
    if name == "lpips":
        inner = [2 * image - 1 for image in inner]
    assert found == pytest.approx(perceptual.load_network(name)(*inner).item(), rel=1e-5) and found > 0
    assert METRICS[name](first, first, 4) == pytest.approx(0, abs=1e-5)
    assert METRICS[name](first, 255 - first, 4) > found
    with pytest.raises(InputError):
        METRICS[name](first, second[:-1], 4)


def test_weights_that_cannot_be_fetched_are_said(monkeypatch):
    def refuse(**_):
        raise OSError("no network here")

    monkeypatch.setattr(torchvision.models, "alexnet", refuse)
    perceptual.load_network.cache_clear()
    with pytest.raises(LSMError, match=r"network cannot be fetched: no network here.*alexnet-.*\.pth.*TORCH_HOME"):
        perceptual.load_network("lpips")


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\3\4"])
def test_damaged_weights_are_said(tmp_path, monkeypatch, content):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    perceptual.load_network.cache_clear()
    with pytest.raises(LSMError, match=rf"LPIPS's network are damaged.*{path.name}.*{path.parent}"):
        perceptual.load_network("lpips")


def test_an_image_too_small_for_alexnet_is_refused_and_the_least_is_not(random_weights):
    image = np.random.default_rng(0).integers(0, 256, (38, 39, 3), dtype=np.uint8)
    assert perceptual.lpips(image[1:], 255 - image[1:], 3) > 0  # 31 of its pixels are left
    with pytest.raises(InputError, match="31x31 pixels after the crop of 4 at each side; the image has 38x39"):
        perceptual.lpips(image, image, 4)


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "DISTS_pytorch", None)
    perceptual.load_network.cache_clear()
    with pytest.raises(OptionError, match=r"The metric DISTS needs its authors' package: .*perceptual"):
        perceptual.load_network("dists")
