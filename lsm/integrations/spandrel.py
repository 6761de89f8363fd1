"""LSM in spandrel's registry, through which chaiNNer, ComfyUI and others load networks by their weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsm.arch import LSMConfig, Network
from lsm.arch.base import CONFIG_KEY
from lsm.arch.convolutional_config import ConvolutionalConfig
from lsm.errors import needs_extra
from lsm.weights import build
from lsm.weights.keys import is_official

if TYPE_CHECKING:
    from spandrel import ArchRegistry, ImageModelDescriptor

ID = "LSM"

_RECURRENT = "layers.0.blocks.1.lru.lru_core.nu_log"
"""The official name that no other network has: the decays of the first recurrent unit."""


def install(registry: ArchRegistry | None = None) -> None:
    """Register LSM with spandrel's `ModelLoader`, our files and official ones; calling it again changes nothing.

    Args:
        registry: spandrel's main one by default, which all loaders share.

    Raises:
        OptionError: If spandrel is not installed.
    """
    with needs_extra("compare", "The library spandrel is not installed"):
        from spandrel import MAIN_REGISTRY, Architecture, ArchSupport

    class LSMArchitecture(Architecture[Network]):
        def __init__(self) -> None:
            super().__init__(id=ID, detect=detect)

        def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[Network]:
            return describe(build(state_dict), self)

    registry = MAIN_REGISTRY if registry is None else registry
    # Some architectures take official LSM files for their own, so this one, which knows all its names, comes first.
    others = tuple(support.architecture.id for support in registry)
    registry.add(ArchSupport.from_architecture(LSMArchitecture(), before=others), ignore_duplicates=True)


def detect(state: dict[str, Any]) -> bool:
    """Return whether a state dict is LSM's, in our names or in the official ones.

    DAT and RGT have nearly all official names; the recurrent unit in every second block is LSM's alone. Files in our
    names carry their configuration.
    """
    if is_official(state):
        return _RECURRENT in state and "before_RG.1.weight" in state
    return CONFIG_KEY in state and "shallow.weight" in state


def describe(model: Network, architecture: Any) -> ImageModelDescriptor[Network]:
    """Return what spandrel has to know of a network.

    Any size will do, since the network pads inside, where it alone can do so without changing its result.
    """
    from spandrel import ImageModelDescriptor, ModelTiling, SizeRequirements

    config = model.config
    return ImageModelDescriptor(
        model,
        model.state_dict(),
        architecture=architecture,
        purpose="SR" if config.task == "sr" else "Restoration",
        tags=[f"{config.embed_dim}dim", _depth(config), config.recurrence.mode, config.task],
        # Measured with tiny-x4 on Set5: in float16 a value is off by 0.002 at most, half a step of 8 bits, in bfloat16
        # by 0.012. The scan computes in float32 in any case.
        supports_half=True,
        supports_bfloat16=False,
        scale=config.upscale,
        input_channels=config.in_chans,
        output_channels=config.in_chans,
        size_requirements=SizeRequirements(),
        tiling=ModelTiling.DISCOURAGED if looks_at_whole_image(config) else ModelTiling.SUPPORTED,
    )


def _depth(config: LSMConfig | ConvolutionalConfig) -> str:
    """Write how many blocks a network has."""
    if isinstance(config, ConvolutionalConfig):
        return f"{config.blocks} blocks"
    return f"{len(config.depths)}x{max(config.depths)}"


def looks_at_whole_image(config: LSMConfig | ConvolutionalConfig) -> bool:
    """Return whether distant pixels matter: through a recurrence along the image or another global mixer.

    In `official` recurrence the recurrence runs over the images of a batch, of which there is one.
    """
    if isinstance(config, ConvolutionalConfig):
        return bool(config.context_after) and config.recurrence.transition != "none"
    if config.placement == "attention" or config.mixer == "attention" or config.recurrence.mode == "official":
        return False
    return config.mixer != "cml" or config.recurrence.transition != "none"
