"""What the oldest supported torch, 2.6, does not do as later ones."""

import torch

from lsm.errors import OptionError

TORCH_26 = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 7)
"""Whether this is torch 2.6, whose Triton is 3.2."""


def require_exporter(what: str) -> None:
    """Refuse exports where torch's exporter fails on images of any size, or cannot read what it wrote.

    Args:
        what: Is exported, as the sentence begins: "Export to ONNX".

    Raises:
        OptionError: With torch 2.6.
    """
    if TORCH_26:
        raise OptionError(
            f"{what} needs torch 2.7 or newer, here is {torch.__version__}, whose exporter fails: pip install -U torch."
        )
