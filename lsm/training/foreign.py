"""Networks of BasicSR's and of plug-ins: which sizes they take, and how they upscale images of any size."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lsm.errors import OptionError, first_line, truncate_repr

_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""Of which a network's sides may have to be; its own `window_size` is tried too."""


def find_multiple(build: Callable[[], Any], name: str, scale: int) -> int:
    """Find what the sides of a network's images must be multiples of.

    Nothing is computed where the network runs on torch's meta device, whose tensors have shapes alone; else the
    smallest images are upscaled.

    Args:
        build: Builds the network.
        name: Of the network, for the error.
        scale: The scale r.

    Returns:
        The least multiple whose images (1, 3, H, W) become (1, 3, rH, rW).

    Raises:
        OptionError: If the network cannot be built, or there is no such multiple up to 64.
    """
    reason = ""
    for device in ("meta", "cpu"):
        try:
            network = build().eval().to(device)
        except Exception as error:  # networks of others raise errors of any kind
            raise OptionError(f"{name} cannot be built: {first_line(error)}") from error
        window = getattr(network, "window_size", 1)
        for multiple in sorted({*_MULTIPLES, *([window] if isinstance(window, int) else [])}):
            reason = _reason_against(network, scale, torch.empty(1, 3, 3 * multiple, 5 * multiple, device=device))
            if not reason:
                return multiple
    raise OptionError(f"{name} does not upscale RGB images by {scale}: {reason}")


def _reason_against(network: Any, scale: int, image: Tensor) -> str:
    """Return why a network does not upscale an image, or nothing if it does."""
    try:
        with torch.no_grad():
            result = network(image)
    except Exception as error:  # as above
        return first_line(error)[:200]
    height, width = image.shape[2:]
    if not isinstance(result, Tensor):
        return f"it gives a {type(result).__name__}, no image"
    wanted = (1, 3, scale * height, scale * width)
    return "" if result.shape == wanted else f"it gives {truncate_repr(tuple(result.shape))} from {tuple(image.shape)}"


class PaddedNetwork(nn.Module):
    """A network that takes images of any size: mirrored pixels fill up the last window, and are cropped after.

    Args:
        network: (B, 3, H, W) to (B, 3, rH, rW), H and W multiples of `multiple`.
        scale: The scale r.
        multiple: From `find_multiple`.
    """

    def __init__(self, network: nn.Module, scale: int, multiple: int) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple
        self.config = SimpleNamespace(upscale=scale, tile_multiple=max(multiple, 8))

    def forward(self, image: Tensor) -> Tensor:
        """Upscale (B, 3, H, W) to (B, 3, rH, rW)."""
        height, width = image.shape[2:]
        below, right = -height % self.multiple, -width % self.multiple
        if below or right:
            # Reflection needs more pixels than it adds; tiny images repeat their edge.
            mode = "reflect" if below < height and right < width else "replicate"
            image = functional.pad(image, (0, right, 0, below), mode)
        scale = self.config.upscale
        result: Tensor = self.network(image)
        return result[:, :, : height * scale, : width * scale]
