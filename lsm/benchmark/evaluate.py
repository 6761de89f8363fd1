"""One image through one method: LR made or read, upscaled, measured, and kept where asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm.benchmark.baselines import bicubic
from lsm.benchmark.methods import Method, MethodSpec
from lsm.benchmark.results import ImageResult
from lsm.benchmark.settings import Settings
from lsm.data.pairs import Pair, load_pair
from lsm.errors import InputError
from lsm.image.io import write_image
from lsm.metrics import psnr, ssim
from lsm.metrics.perceptual import lpips
from lsm.profiling.measure import measure_run

CROP_SIDE = 96
"""Side of the crops shown in reports, in high-resolution pixels."""


@dataclass(frozen=True)
class ImageTask:
    """One image to be upscaled by one method.

    Attributes:
        method: What to load.
        label: The method's name in tables.
        image_set: Name of the set.
        scale: Scale.
        pair: The files.
        data: SHA-256 of its files, see `lsm.data.pairs.pair_hash`.
        key: SHA-256 of everything that the figures depend on.
        crops: Folder for crops of the result, of HR and of bicubic; none to keep none.
        visual: File for the whole result; none to keep none.
    """

    method: MethodSpec
    label: str
    image_set: str
    scale: int
    pair: Pair
    data: str
    key: str
    crops: Path | None = None
    visual: Path | None = None

    def crop_files(self) -> dict[str, Path]:
        """Return the files of the crops to be kept, see `crop_files`."""
        return crop_files(self.crops, self.scale, self.data, self.key) if self.crops else {}

    def is_kept(self) -> bool:
        """Return whether the files that the task is to leave behind are there."""
        files = [*self.crop_files().values(), *([self.visual] if self.visual else [])]
        return all(path.is_file() for path in files)


def crop_files(folder: Path, scale: int, data: str, key: str) -> dict[str, Path]:
    """Return the files of the crops of an image: "HR" and "bicubic", which all methods share, and "model".

    Args:
        folder: Where crops are.
        scale: The scale.
        data: Hash of the image's files.
        key: Hash of the row.

    Returns:
        File by name.
    """
    common = f"{data[:24]}-x{scale}"
    return {
        "HR": folder / f"{common}-hr.png",
        "bicubic": folder / f"{common}-bicubic.png",
        "model": folder / f"{key[:24]}.png",
    }


def evaluate(task: ImageTask, method: Method, settings: Settings) -> ImageResult:
    """Upscale one image, measure the result, and keep what is asked for.

    Args:
        task: What to do.
        method: `task.method`, loaded.
        settings: What is measured: the channel, and whether LPIPS too.

    Returns:
        What was measured.

    Raises:
        InputError: If a file is wrong, or the image is too small for the metrics.
        LSMError: If LPIPS is asked for and cannot be measured, see `lsm.metrics.perceptual.load_network`.
    """
    hr, lr = load_pair(task.pair, task.scale)
    result, seconds, memory = measure_run(lambda: method(lr), method.device)
    try:
        quality = (
            psnr(hr, result, task.scale, settings.channel),
            ssim(hr, result, task.scale, settings.channel),
            lpips(hr, result, task.scale) if settings.lpips else None,
        )
    except InputError as error:
        raise InputError(f"{task.pair.hr}: {error}") from error
    _keep(task, hr, lr, result)
    return ImageResult(
        model=task.label,
        image_set=task.image_set,
        scale=task.scale,
        image=task.pair.name,
        height=hr.shape[0],
        width=hr.shape[1],
        psnr=quality[0],
        ssim=quality[1],
        seconds=seconds,
        peak_memory=memory,
        data=task.data,
        key=task.key,
        lpips=quality[2],
    )


def crop_corner(hr: np.ndarray, upscaled: np.ndarray, side: int = CROP_SIDE) -> tuple[int, int]:
    """Choose where to look closely: the window in which bicubic errs most, which no network decides.

    Args:
        hr: `(H, W, 3)` uint8.
        upscaled: The bicubic result of the same shape.
        side: Side of the window.

    Returns:
        Top and left of the window; 0 along a side that is shorter than the window.
    """
    error = ((hr.astype(np.float64) - upscaled) ** 2).sum(axis=2)
    height, width = (min(side, length) for length in error.shape)
    total = np.pad(error, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    top, left = np.unravel_index(np.argmax(sums), sums.shape)
    return int(top), int(left)


def _keep(task: ImageTask, hr: np.ndarray, lr: np.ndarray, result: np.ndarray) -> None:
    """Write the crops and the whole result, where the task asks for them."""
    files = task.crop_files()
    if files:
        upscaled = bicubic(lr, task.scale)
        top, left = crop_corner(hr, upscaled)
        for name, image in (("HR", hr), ("bicubic", upscaled), ("model", result)):
            write_image(files[name], image[top : top + CROP_SIDE, left : left + CROP_SIDE])
    if task.visual:
        task.visual.parent.mkdir(parents=True, exist_ok=True)
        write_image(task.visual, result)
