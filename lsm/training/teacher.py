"""A teacher's images as targets: what a larger network makes of the low-resolution image, mixed into the true one.

target = gt + w · (teacher − gt), w along the training from `weight` to `final_weight` (He et al. 2020, FAKD, arXiv
2005.10040, and others distil super-resolution so). The teacher is any network that the library spandrel loads, or one
of ours; what it makes of whole images is computed once into a folder, or of each batch as it comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from lsm.errors import CheckpointError, OptionError, first_line, needs_extra
from lsm.files import atomic_file
from lsm.image.io import read_rgb, write_image
from lsm.image.pixels import from_tensor, to_tensor
from lsm.training.compat import get_root_logger
from lsm.weights import load_model
from lsm.weights.identity import file_hash

_ABOUT = "teacher.json"
"""The file in a folder of a teacher's images that says which teacher made them."""


def load_teacher(path: Path, scale: int, device: torch.device) -> nn.Module:
    """Load a network to learn from, in eval mode and without gradients.

    Args:
        path: A file of ours, or any that spandrel loads.
        scale: The scale r of the training.
        device: Where to put it.

    Returns:
        (B, 3, H, W) in [0, 1] to (B, 3, rH, rW).

    Raises:
        CheckpointError: If neither loads the file.
        OptionError: If the network has another scale, or spandrel is needed and not installed.
    """
    network: nn.Module
    try:
        network = load_model(path)
        own = network.config.upscale  # type: ignore[union-attr]
    except CheckpointError:
        network, own = _load_by_spandrel(path)
    if own != scale:
        raise OptionError(f"train.teacher.path: {path} upscales by {own}, but the training's scale is {scale}.")
    return network.to(device).eval().requires_grad_(False)


def _load_by_spandrel(path: Path) -> tuple[nn.Module, int]:
    with needs_extra("compare", f"{path} is no network of ours, and other teachers need spandrel"):
        import spandrel
    try:
        descriptor = spandrel.ModelLoader(device="cpu").load_from_file(path)
    except Exception as error:  # spandrel and what it calls raise errors of any kind
        raise CheckpointError(f"train.teacher.path: spandrel cannot load {path}: {first_line(error)}") from error
    return descriptor.model, descriptor.scale


class Teacher:
    """The targets of a training that has a teacher.

    Args:
        settings: The config's section `train.teacher`: `path`, `weight`, `final_weight`, `cache`.
        scale: The scale r.
        device: Where a batch is, for a teacher without cache.
    """

    def __init__(self, settings: Mapping[str, Any], scale: int, device: torch.device) -> None:
        self.first, self.last = settings["weight"], settings["final_weight"]
        cached = settings["cache"] is not None
        self.network = None if cached else load_teacher(Path(settings["path"]), scale, device)

    def weight(self, progress: float) -> float:
        """Return w at a part of the training, in [0, 1]."""
        return self.first + (self.last - self.first) * progress

    def target(self, lq: Tensor, gt: Tensor, cached: Tensor | None, progress: float) -> Tensor:
        """Mix the teacher's images into the true ones.

        Args:
            lq: (B, 3, h, w).
            gt: (B, 3, rh, rw).
            cached: The teacher's images like `gt`, where a folder holds them.
            progress: Part of the training that is behind, in [0, 1].

        Returns:
            (B, 3, rh, rw), the teacher's part clamped to [0, 1].
        """
        weight = self.weight(progress)
        if weight == 0:
            return gt
        if cached is None:
            assert self.network is not None
            with torch.no_grad():
                cached = self.network(lq).clamp(0, 1)
        return torch.lerp(gt, cached, weight)


def fill_cache(
    settings: Mapping[str, Any], scale: int, names: Sequence[str], load: Callable[[int], np.ndarray]
) -> None:
    """Upscale all images of a training by its teacher, unless the folder holds them already.

    Args:
        settings: The config's section `train.teacher`.
        scale: The scale r.
        names: A name for each image, without ending.
        load: Takes a position in `names` to the low-resolution image, (h, w, 3) uint8.

    Raises:
        OptionError: If the folder holds the images of another teacher or scale.
        CheckpointError: As `load_teacher`.
    """
    folder = Path(settings["cache"])
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, {"teacher": file_hash(Path(settings["path"])), "scale": scale})
    paths = cached_images(settings, names)
    missing = [index for index, name in enumerate(names) if not paths[name].exists()]
    if missing:
        get_root_logger().info("The teacher upscales %d images into %s, once.", len(missing), folder)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = load_teacher(Path(settings["path"]), scale, device)
        for index in track(missing, "teacher", disable=len(missing) < 10):
            with torch.inference_mode():
                output = network(to_tensor(load(index)).to(device))[0].float().cpu()
            write_image(paths[names[index]], from_tensor(output, 3, np.dtype(np.uint8)))


def cached_images(settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Path]:
    """Return the PNG, 8 bits, in which `fill_cache` leaves the teacher's image of each name."""
    return {name: Path(settings["cache"]) / f"{name}.png" for name in names}


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Note whose images a folder holds, or see that they are of the same teacher."""
    note = folder / _ABOUT
    if note.exists():
        if json.loads(note.read_text("utf-8")) != about:
            raise OptionError(
                f"train.teacher.cache: {folder} holds the images of another teacher or scale; name another folder."
            )
        return
    if any(folder.glob("*.png")):
        raise OptionError(f"train.teacher.cache: {folder} holds images of unknown origin; name an empty folder.")
    with atomic_file(note) as file:
        file.write(json.dumps(about).encode())


def read_cached(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read a teacher's image.

    Args:
        path: From `fill_cache`.
        shape: What it must have, (rH, rW, 3).

    Raises:
        OptionError: If it has another.
    """
    pixels = read_rgb(path)
    if pixels.shape != shape:
        raise OptionError(
            f"{path} has the shape {pixels.shape}, its image {shape}: the training's images have changed."
        )
    return pixels
