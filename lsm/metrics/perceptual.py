"""LPIPS (Zhang et al., CVPR 2018) and DISTS (Ding et al., PAMI 2020), by their authors' packages; lower is better.

Both compare features of networks that were trained on ImageNet, whose weights torchvision fetches at the first use.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from lsm.errors import LSMError, needs_extra
from lsm.metrics.fidelity import Channel, cropped_planes

if TYPE_CHECKING:
    import torch


def lpips(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel = "rgb") -> float:
    """Return LPIPS by AlexNet, 0 for equal images.

    Args:
        a: `(H, W, 3)` uint8 RGB.
        b: The same shape.
        crop_border: Pixels left out at each side.
        channel: "rgb"; the networks know no luma.

    Raises:
        InputError: The arrays are not such images, or differ in shape, or nothing is left after the crop.
        OptionError: The extra `perceptual` is not installed.
        LSMError: The weights of AlexNet cannot be fetched.
    """
    first, second = (2 * image - 1 for image in _tensors(a, b, crop_border))
    return _distance(_network("lpips"), first, second)


def dists(a: np.ndarray, b: np.ndarray, crop_border: int, channel: Channel = "rgb") -> float:
    """Return DISTS, 0 for equal images; arguments and errors are those of `lpips`."""
    return _distance(_network("dists"), *_tensors(a, b, crop_border))


def load_network(name: str) -> None:
    """Load the network of `"lpips"` or `"dists"`, so that what is missing is known before it is needed.

    Raises:
        OptionError: The extra `perceptual` is not installed.
        LSMError: The weights cannot be fetched.
    """
    _network(name)


@functools.cache
def _network(name: str) -> Any:
    with needs_extra("perceptual", f"The metric {name.upper()} needs its authors' package"):
        import DISTS_pytorch
        import lpips as lpips_package
    try:
        network = lpips_package.LPIPS(net="alex", verbose=False) if name == "lpips" else DISTS_pytorch.DISTS()
    except OSError as error:  # URLError is one
        raise LSMError(
            f"The weights of {name.upper()}'s network cannot be fetched: {error}. On a machine without a network, put "
            "them where torch.hub keeps its files (TORCH_HOME)."
        ) from error
    return network.eval().requires_grad_(False)


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
