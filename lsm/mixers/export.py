"""A mixer as an ONNX file, for images of one size: Fourier transforms are the operator DFT there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from lsm.errors import OptionError
from lsm.files import atomic_file
from lsm.mixers.base import Size, TokenMixer
from lsm.scan.torch_version import require_exporter


class _AtSize(nn.Module):
    """A mixer whose input is the tokens alone."""

    def __init__(self, mixer: nn.Module, size: Size | None) -> None:
        super().__init__()
        self.mixer, self.size = mixer, size

    def forward(self, tokens: Tensor) -> Tensor:
        return self.mixer(tokens, self.size)


def export_mixer(mixer: nn.Module, dim: int, size: Size, path: Path) -> None:
    """Write a mixer as an ONNX model: tokens (1, H·W, C) in, the same out. It needs the packages onnx and onnxscript.

    Args:
        mixer: One of `lsm.mixers.registry.build_mixer`; it is exported as in eval mode.
        dim: C.
        size: (H, W), fixed in the file; of a mixer built for sequences (1, T).
        path: Where to.

    Raises:
        OptionError: If the mixer needs an operator that ONNX has not, a package is missing, or torch is too old.
    """
    require_exporter("Export to ONNX")
    shape = None if isinstance(mixer, TokenMixer) and mixer.sequence else size
    tokens, name = torch.zeros(1, size[0] * size[1], dim), type(mixer).__name__
    training = mixer.training
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(_AtSize(mixer.eval(), shape), (tokens,), dynamo=True, verbose=False)
    except ImportError as error:
        raise OptionError(f"Exporting to ONNX needs the packages onnx and onnxscript ({error}).") from error
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error)
        found = re.search(r"target=torch\.ops\.([\w.]+)", reason)
        part = f"the operator {found[1]}" if found else reason.strip().partition("\n")[0].rstrip(".")
        raise OptionError(f"{name} cannot be exported: the ONNX exporter has no way to write {part}.") from error
    finally:
        mixer.train(training)
    assert program is not None
    with atomic_file(path) as file:
        file.write(program.model_proto.SerializeToString())
