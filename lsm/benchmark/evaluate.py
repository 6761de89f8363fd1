"""One image through one method: low resolution made or read, upscaled, measured, and kept where asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm.benchmark.baselines import bicubic
from lsm.benchmark.methods import Method
from lsm.benchmark.results import Row
from lsm.data.datasets import Pair
from lsm.errors import InputError
from lsm.image.io import read_rgb, write_image
from lsm.image.resize import imresize
from lsm.metrics.fidelity import Channel, psnr, ssim
from lsm.profiling.measure import measured

CROP_SIDE = 96
"""Side of the crops shown in reports, in high-resolution pixels."""


@dataclass(frozen=True)
class Work:
    """One image to be upscaled by one method.

    Attributes:
        model: The method's label.
        image_set: Name of the set.
        scale: Scale.
        pair: The files.
        data: SHA-256 of the files, see `data_hash`.
        key: SHA-256 of everything that the figures depend on.
        crops: Folder for crops of the result, of HR and of bicubic; none to keep none.
        visual: File for the whole result; none to keep none.
    """

    model: str
    image_set: str
    scale: int
    pair: Pair
    data: str
    key: str
    crops: Path | None = None
    visual: Path | None = None

    def crop_files(self) -> dict[str, Path]:
        """Name the crops to be kept, see `crop_files`."""
        return crop_files(self.crops, self.scale, self.data, self.key) if self.crops else {}

    def is_kept(self) -> bool:
        """Tell whether the files that the work shall leave behind are there."""
        files = [*self.crop_files().values(), *([self.visual] if self.visual else [])]
        return all(path.is_file() for path in files)


def crop_files(folder: Path, scale: int, data: str, key: str) -> dict[str, Path]:
    """Name the crops of an image: "HR" and "bicubic", which all methods share, and "model".

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


def data_hash(pair: Pair) -> str:
    """Hash the files of a pair as they are on disk.

    Raises:
        InputError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for path in (pair.high, pair.low):
        if path is None:
            digest.update(b"MATLAB bicubic")
            continue
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def load_pair(pair: Pair, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a pair as the protocol asks: HR cropped to a multiple of the scale, LR as given or by MATLAB's bicubic.

    Args:
        pair: The files.
        scale: The scale.

    Returns:
        HR `(scale * H, scale * W, 3)` and LR `(H, W, 3)`, uint8 RGB.

    Raises:
        InputError: If a file cannot be read, HR is smaller than the scale, or LR has another size than H×W.
    """
    high = read_rgb(pair.high)
    height, width = (side // scale for side in high.shape[:2])
    if min(height, width) == 0:
        raise InputError(f"{pair.high}: {high.shape[1]}×{high.shape[0]} is too small for ×{scale}.")
    high = high[: height * scale, : width * scale]
    if pair.low is None:
        return high, imresize(high, (height, width))
    low = read_rgb(pair.low)
    if low.shape != (height, width, 3):
        raise InputError(
            f"{pair.low}: {low.shape[1]}×{low.shape[0]}, but {pair.high.name} at ×{scale} needs {width}×{height}."
        )
    return high, low


def evaluate(work: Work, method: Method, channel: Channel) -> Row:
    """Upscale one image, measure the result, and keep what is asked for.

    Args:
        work: What to do.
        method: The method that `work.model` names.
        channel: Of the metrics.

    Returns:
        The row of the results.

    Raises:
        InputError: If a file is wrong, or the image is too small for the metrics.
    """
    high, low = load_pair(work.pair, work.scale)
    result, seconds, memory = measured(lambda: method(low), method.device)
    try:
        quality = psnr(high, result, work.scale, channel), ssim(high, result, work.scale, channel)
    except InputError as error:
        raise InputError(f"{work.pair.high}: {error}") from error
    _keep(work, high, low, result)
    return Row(
        model=work.model,
        image_set=work.image_set,
        scale=work.scale,
        image=work.pair.name,
        height=high.shape[0],
        width=high.shape[1],
        psnr=quality[0],
        ssim=quality[1],
        seconds=seconds,
        peak_memory=memory,
        data=work.data,
        key=work.key,
    )


def crop_corner(high: np.ndarray, upscaled: np.ndarray, side: int = CROP_SIDE) -> tuple[int, int]:
    """Choose where to look closely: the window in which bicubic errs most, so that no network's taste decides.

    Args:
        high: `(H, W, 3)` uint8.
        upscaled: The bicubic result of the same shape.
        side: Side of the window.

    Returns:
        Top and left of the window; 0 along a side that is shorter than the window.
    """
    error = ((high.astype(np.float64) - upscaled) ** 2).sum(axis=2)
    height, width = (min(side, length) for length in error.shape)
    total = np.pad(error, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    top, left = np.unravel_index(np.argmax(sums), sums.shape)
    return int(top), int(left)


def _keep(work: Work, high: np.ndarray, low: np.ndarray, result: np.ndarray) -> None:
    """Write the crops and the whole result, where the work asks for them."""
    files = work.crop_files()
    if files:
        upscaled = bicubic(low, work.scale)
        top, left = crop_corner(high, upscaled)
        for name, image in (("HR", high), ("bicubic", upscaled), ("model", result)):
            write_image(files[name], image[top : top + CROP_SIDE, left : left + CROP_SIDE])
    if work.visual:
        work.visual.parent.mkdir(parents=True, exist_ok=True)
        write_image(work.visual, result)
