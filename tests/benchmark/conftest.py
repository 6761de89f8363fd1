import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import lsm
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
