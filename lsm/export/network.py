"""The network as a graph can hold it: of dynamic height and width, without chance, for one image at a time."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from lsm.arch import Network
from lsm.arch.pixel_unshuffle import PixelUnshuffle
from lsm.errors import OptionError
from lsm.export.pixel_unshuffle import DynamicPixelUnshuffle
from lsm.export.windows import DynamicWindowAttention, Plans
from lsm.inference.device import PRECISIONS
from lsm.mixers.window_attention import WindowAttention

EXAMPLE_SIZE = (19, 23)
"""Height and width of the image that the network is traced with; primes, so that no relation of theirs is taken for one
of all images."""

EXPORTED_MIXERS = ("cml", "attention")


def exportable(model: Network, precision: str = "fp32") -> Network:
    """Copy a network into one that can be exported, in eval mode on the CPU.

    Networks with the `official` recurrence draw categories at random; the copy takes the most probable ones, so that a
    file gives the same image each time.

    Args:
        model: The network; it stays as it is.
        precision: "fp32"; with "fp16" all matrices and kernels are rounded to numbers that a half can hold.

    Returns:
        A network that computes in float32.

    Raises:
        OptionError: If the precision is another, or the network has a mixer or a scan order that is planned from the
            size of the image in Python and has no twin for dynamic sizes.
    """
    if precision not in ("fp32", "fp16"):
        raise OptionError(f"A network is exported in fp32 or fp16, not in {precision!r}.")
    if model.config.mixer not in EXPORTED_MIXERS:
        known = " or ".join(map(repr, EXPORTED_MIXERS))
        raise OptionError(f"A network with the mixer {model.config.mixer!r} cannot be exported, only with {known}.")
    if "hilbert" in model.config.recurrence.scan_order:
        raise OptionError(f"A network with the scan order {model.config.recurrence.scan_order!r} cannot be exported.")
    twin = copy.deepcopy(model).to("cpu", torch.float32).eval().requires_grad_(False).sample_categories(False)
    if precision != "fp32":
        for parameter in twin.parameters():
            if parameter.dim() >= 2:
                parameter.copy_(parameter.to(PRECISIONS[precision]))
    plans = Plans()
    twin.register_forward_pre_hook(lambda module, arguments: plans.forget())
    _replace_planned(twin, plans)
    return twin


def trace(model: Network) -> ExportedProgram:
    """Trace an exportable network with `torch.export`: (1, 3, H, W) → (1, 3, rH, rW), H and W dynamic, at least 2.

    The scan is in it as `lsm::linear_scan`, by the backend "blocked", which runs wherever torch does.
    """
    image = torch.zeros(1, model.config.in_chans, *EXAMPLE_SIZE)
    sides = ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(model, (image,), dynamic_shapes=sides, strict=False)
    for node in program.graph.nodes:
        if node.target is torch.ops.lsm.linear_scan.default:
            node.args = (*node.args[:-1], "blocked")
    return program


def _replace_planned(module: nn.Module, plans: Plans) -> None:
    """Put twins for dynamic sizes in the place of window attentions and pixel unshuffles."""
    for name, child in module.named_children():
        if isinstance(child, WindowAttention):
            setattr(module, name, DynamicWindowAttention(child, plans))
        elif isinstance(child, PixelUnshuffle):
            setattr(module, name, DynamicPixelUnshuffle(child.side))
        else:
            _replace_planned(child, plans)
