"""LPIPS (Zhang et al., CVPR 2018) and DISTS (Ding et al., PAMI 2020), by their authors' packages; lower is better.

Both compare features of networks that were trained on ImageNet, whose weights torchvision fetches at the first use.
"""

from __future__ import annotations

import functools
import pickle
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from lsm.errors import InputError, LSMError, needs_extra
from lsm.metrics.fidelity import Channel, cropped_planes

if TYPE_CHECKING:
    import torch

_LEAST_SIDE = 31
"""Pixels of a side from which AlexNet's last features still have one position."""


def lpips(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel = "rgb") -> float:
    """Return LPIPS by AlexNet, 0 for equal images.

    Args:
        a: `(H, W, 3)` uint8 RGB.
        b: The same shape.
        crop_border: Pixels left out at each side.
        channel: "rgb"; the networks know no luma.

    Raises:
        InputError: The arrays are not such images, or differ in shape, or fewer than 31 pixels are left on a side.
        OptionError: The extra `perceptual` is not installed.
        LSMError: The weights of AlexNet cannot be loaded.
    """
    first, second = (2 * image - 1 for image in _tensors(a, b, crop_border))
    if min(first.shape[2:]) < _LEAST_SIDE:
        raise InputError(
            f"LPIPS needs at least {_LEAST_SIDE}x{_LEAST_SIDE} pixels after the crop of {crop_border} at each side; "
            f"the image has {a.shape[0]}x{a.shape[1]}."
        )
    return _distance(load_network("lpips"), first, second)


def dists(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel = "rgb") -> float:
    """Return DISTS, 0 for equal images; arguments and errors are those of `lpips`."""
    return _distance(load_network("dists"), *_tensors(a, b, crop_border))


@functools.cache
def load_network(name: str) -> torch.nn.Module:
    """Load the network of `"lpips"` or `"dists"`, once; also before it is needed, so that what is missing is known.

    Raises:
        OptionError: The extra `perceptual` is not installed.
        LSMError: The weights are not there and cannot be fetched, or are damaged.
    """
    with needs_extra("perceptual", f"The metric {name.upper()} needs its authors' package"):
        build = _builder(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the packages call torchvision by its older arguments
            return build().eval().requires_grad_(False)
    except OSError as error:  # URLError is one
        raise LSMError(
            f"The weights of {name.upper()}'s network cannot be fetched: {error}. {_remedy(name)}"
        ) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:  # what torch.load raises on other bytes
        raise LSMError(f"The weights of {name.upper()}'s network are damaged. {_remedy(name)}") from error


def _builder(name: str) -> Any:
    """Import a metric's package; return what builds its network."""
    if name == "lpips":
        import lpips as lpips_package

        return lambda: lpips_package.LPIPS(net="alex", version="0.1", verbose=False)
    import DISTS_pytorch

    return DISTS_pytorch.DISTS


def _remedy(name: str) -> str:
    """Say which file is needed, and where torchvision looks for it before it fetches it."""
    import torch
    from torchvision import models

    weights = (models.AlexNet_Weights if name == "lpips" else models.VGG16_Weights).IMAGENET1K_V1
    return (
        f"They are torchvision's file {PurePosixPath(weights.url).name}; on a machine without a network, put it into "
        f"{torch.hub.get_dir()}/checkpoints (TORCH_HOME moves that folder)."
    )


def _tensors(a: np.ndarray, b: np.ndarray, crop_border: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Check and crop a pair, as `(1, 3, H, W)` in [0, 1]."""
    import torch

    pair = cropped_planes(a, b, crop_border, "rgb")
    first, second = (torch.from_numpy(image / 255).float().permute(2, 0, 1)[None] for image in pair)
    return first, second


def _distance(network: Any, first: torch.Tensor, second: torch.Tensor) -> float:
    import torch

    with torch.no_grad():
        return float(network(first, second))
