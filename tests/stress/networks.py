"""Networks and images that the sections share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lsm import Upscaler
    from lsm.arch import Network


def small_model(scale: int = 2) -> Network:
    """Make an untrained LSM so small that it costs nothing; it starts as a bilinear upscaler."""
    import torch

    from lsm import create_model

    torch.manual_seed(0)
    return create_model("tiny", scale, embed_dim=16, depths=(2,), d_state=2, num_heads=2).eval()


def small_upscaler() -> Upscaler:
    """Make an upscaler by 2 around the small network, on one thread."""
    import torch

    from lsm import Upscaler

    torch.set_num_threads(1)
    return Upscaler(small_model(), device="cpu")


def small_weights(folder: Path) -> Path:
    """Write the small network's weights and give their path."""
    from lsm.weights import save_model

    path = folder / "small-x2.safetensors"
    save_model(small_model(), path)
    return path


def photographs(folder: Path | None, count: int = 10) -> dict[str, np.ndarray]:
    """Return photographs, (H, W, 3) uint8, by name: the first of a folder, or scikit-image's own and parts of them.

    Args:
        folder: Folder of images; none for scikit-image's.
        count: How many.
    """
    if folder is not None:
        from lsm.data.pairs import list_images
        from lsm.image.io import read_rgb

        return {path.stem: read_rgb(path) for path in list_images(folder)[:count]}
    from skimage import data

    found = {name: np.ascontiguousarray(getattr(data, name)()) for name in ("astronaut", "coffee", "cat")}
    for name, image in list(found.items()):
        for turn in (1, 2, 3):
            found[f"{name}-{90 * turn}"] = np.ascontiguousarray(np.rot90(image, turn))
    return dict(list(found.items())[:count])
