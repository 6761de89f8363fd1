"""ComfyUI: "Load Upscale Model" reads LSM networks, and a node upscales with them as `lsm upscale` does.

ComfyUI's own "Upscale Image (using Model)" works too: its tiles of 512 with an overlap of 32 start on multiples of
LSM's windows. It blends tiles over their whole overlap, the edges included, which the network sees without context.
"""

from __future__ import annotations

from typing import Any

import torch

from lsm import Upscaler
from lsm.errors import OptionError
from lsm.integrations.spandrel import install

install()


class UpscaleWithLSM:
    """Upscale images with a network of LSM, whole or in tiles, as `lsm.Upscaler` does."""

    CATEGORY = "image/upscaling"
    DESCRIPTION = "Upscales with an LSM network, whole (tile 0, if memory allows) or in tiles."
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the sockets and fields that ComfyUI shows."""
        tile = {"default": 0, "min": 0, "max": 8192, "step": 32, "tooltip": "0: as large as the memory allows"}
        return {"required": {"upscale_model": ("UPSCALE_MODEL",), "image": ("IMAGE",), "tile": ("INT", tile)}}

    def upscale(self, upscale_model: Any, image: torch.Tensor, tile: int) -> tuple[torch.Tensor]:
        """Upscale images (B, H, W, C) with values in [0, 1], C at least 3, to (B, rH, rW, 3).

        Raises:
            OptionError: If the network is not LSM's.
        """
        if upscale_model.architecture.id != "LSM":
            raise OptionError(f"This node is for LSM networks, not for {upscale_model.architecture.name}.")
        device, progress = _device(), _progress(len(image))
        upscaler = Upscaler(upscale_model.model, tile=tile or "auto", device=device)
        results = []
        for index, picture in enumerate(image[..., :3].movedim(-1, 1)):
            with torch.inference_mode():
                result = upscaler.upscale_tensor(picture[None].float().cpu(), progress(index))
            results.append(result.clamp(0, 1).movedim(1, -1))
        upscale_model.model.to("cpu")  # leaves the memory to the nodes that follow
        return (torch.cat(results),)


def _device() -> Any:
    """Return the device that ComfyUI computes on; its own modules are there only when it runs."""
    try:
        from comfy.model_management import get_torch_device
    except ImportError:
        return "auto"
    return get_torch_device()


def _progress(images: int) -> Any:
    """Return what reports the tiles of the image of a number to ComfyUI's bar."""
    try:
        from comfy.utils import ProgressBar
    except ImportError:
        return lambda index: None
    bar = ProgressBar(images)
    return lambda index: (
        lambda done, total: bar.update_absolute(
            index * total + done,
            images * total,  # images of a batch have one size
        )
    )


NODE_CLASS_MAPPINGS = {"UpscaleWithLSM": UpscaleWithLSM}
NODE_DISPLAY_NAME_MAPPINGS = {"UpscaleWithLSM": "Upscale Image (LSM)"}
