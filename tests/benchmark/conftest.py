import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import lsm
from lsm.metrics import perceptual
from lsm.weights import save_model


@pytest.fixture(scope="session")
def image_root(tmp_path_factory):
    """A root with Set5 of three small images and a folder Mine of two, high resolution only."""
    root = tmp_path_factory.mktemp("sets")
    photographs = [data.astronaut()[:61, :82], data.cat()[60:121, 100:151], data.coffee()[100:150, 100:170]]
    for name, images in (("Set5", photographs), ("Mine", photographs[:2])):
        (root / name / "HR").mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(np.ascontiguousarray(image)).save(root / name / "HR" / f"p{number}.png")
    return root


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights files of small networks at ×2 and ×4, by a path with {scale} in it."""
    folder = tmp_path_factory.mktemp("weights")
    for scale in (2, 4):
        torch.manual_seed(scale)
        model = lsm.create_model("tiny", scale=scale, depths=(2,), embed_dim=12)
        save_model(model, folder / f"small_x{scale}.safetensors")
    return folder / "small_x{scale}.safetensors"


@pytest.fixture(scope="session")
def drawn_alexnet(tmp_path_factory):
    """A folder for TORCH_HOME in which AlexNet's file holds drawn features, and classifiers of zeros, a byte each."""
    models = pytest.importorskip("torchvision").models
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in models.AlexNet().state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(shape, generator=generator) / shape[1:].numel() ** 0.5
        if name.startswith("features")
        else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    home = tmp_path_factory.mktemp("torch_home")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, home / "hub" / "checkpoints" / models.AlexNet_Weights.IMAGENET1K_V1.url.rpartition("/")[2])
    return home


@pytest.fixture
def alexnet(drawn_alexnet, monkeypatch):
    """AlexNet with drawn weights where torchvision looks for its own, in this process and in those that it starts."""
    pytest.importorskip("lpips", reason="lpips (extra `perceptual`) is not installed")
    monkeypatch.setenv("TORCH_HOME", str(drawn_alexnet))
    perceptual.load_network.cache_clear()
    yield
    perceptual.load_network.cache_clear()
