"""`lsm export onnx`: a network as one ONNX file of standard operators, compared with it before it is written."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lsm.arch import Network
from lsm.errors import CheckpointError, needs_extra
from lsm.export.halves import store_halves
from lsm.export.network import exportable, trace
from lsm.export.operators import DOMAIN, functions, translations
from lsm.files import atomic_file
from lsm.inference.memory import peak_memory
from lsm.inference.onnx_network import ARCHITECTURE, OnnxNetwork
from lsm.scan.torch_version import require_exporter
from lsm.weights.identity import state_hash

OPSET = 18
"""Of ONNX, from December 2022: the oldest that has all operators that are used."""

CHECK_SIZES = ((1, 7), (16, 16), (23, 17), (33, 40), (64, 48))
"""Heights and widths at which a file is compared with its network."""

TOLERANCE = {"fp32": 1e-4, "fp16": 1e-3}
"""Greatest `difference` that is accepted. Rounding to halves turns over some categories."""


@dataclass(frozen=True)
class OnnxReport:
    """What was written.

    Attributes:
        path: The file.
        size: Its bytes.
        metadata: What it says of itself.
        differences: Greatest difference to the network at each of the compared sizes (H, W).
    """

    path: Path
    size: int
    metadata: dict[str, str]
    differences: dict[tuple[int, int], float]


def export_onnx(
    model: Network,
    path: str | Path,
    precision: str = "fp32",
    about: Mapping[str, str] | None = None,
    sizes: Sequence[tuple[int, int]] = CHECK_SIZES,
) -> OnnxReport:
    """Write a network as an ONNX file: input `image` (1, 3, H, W) in [0, 1], output `upscaled`, H and W dynamic.

    The scan and the stable sort are in it as standard operators, all numbers are real. Networks with the `official`
    recurrence take the most probable category where they would draw one.

    Args:
        model: The network; it stays as it is.
        path: Where; replaced if it exists.
        precision: "fp32", or "fp16" for matrix products and convolutions, and their weights, in half; the first and
            the last convolution, input, output, and all else are float32.
        about: Lines for the metadata, e.g. `licence` and `training_set` of the weights' own file.
        sizes: Heights and widths at which onnxruntime must agree with the network (in fp16, with the network whose
            weights are rounded as the file's are).

    Returns:
        What was written, and how well it agrees.

    Raises:
        CheckpointError: If a result differs by more than `TOLERANCE`; nothing is written then.
        OptionError: If the network cannot be exported, or a package is missing.
    """
    path, twin = Path(path), exportable(model, precision)
    graph = to_onnx(twin, precision)
    metadata = describe(model, precision, twin, about or {})
    graph.metadata_props.update(metadata)
    content = _serialize(graph)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "draft.onnx")
        draft.write_bytes(content)
        network = OnnxNetwork(draft)
        differences = {size: difference(network, twin, size, precision) for size in sizes}
        worst = max(differences, key=lambda size: differences[size], default=None)
        if worst is not None and not differences[worst] <= TOLERANCE[precision]:
            raise CheckpointError(
                f"The exported network differs from the original by {differences[worst]:.1e} at {worst[1]}×{worst[0]}, "
                f"more than {TOLERANCE[precision]:.0e}; {path} was not written."
            )
    with atomic_file(path) as file:
        file.write(content)
    return OnnxReport(path, len(content), metadata, differences)


def to_onnx(model: Network, precision: str = "fp32") -> Any:
    """Turn an exportable network into an `onnx_ir.Model` of standard operators.

    Raises:
        OptionError: If a package of the extra `onnx` is missing, or torch is too old.
    """
    require_exporter("Export to ONNX")
    with needs_extra("onnx", "Export to ONNX needs onnx and onnxscript"):
        import onnxscript  # noqa: F401
        from onnx_ir.passes.common import InlinePass
    program = trace(model)
    with _quiet():
        exported = torch.onnx.export(
            program,
            input_names=["image"],
            output_names=["upscaled"],
            opset_version=OPSET,
            custom_translation_table=translations(),
            verbose=False,
        )
    assert exported is not None
    graph: Any = exported.model
    for function in functions():
        graph.functions[function.identifier()] = function
    InlinePass()(graph)
    graph.opset_imports.pop(DOMAIN, None)
    for node in graph.graph.all_nodes():
        node.metadata_props.clear()  # stack traces of this machine
    if precision == "fp16":
        # What reads and what makes the image: a half near 1 is rounded by up to 2.4e-4, 6 % of a step of 8 bits.
        last = max(int(name.split(".")[1]) for name, _ in model.named_parameters() if name.startswith("upsampler."))
        store_halves(graph.graph, whole=("shallow.weight", f"upsampler.{last}.weight"))
    return graph


def describe(model: Network, precision: str, twin: Network, about: Mapping[str, str]) -> dict[str, str]:
    """Return what a program needs to know of the network, as the file's metadata.

    Args:
        model: The network.
        precision: Of the file.
        twin: The network as it is exported; one run of it is measured.
        about: Of the weights.
    """
    config = model.config
    window = config.tile_multiple
    side = 2 * window
    image = torch.zeros(1, config.in_chans, side, side)
    with torch.inference_mode():
        need = peak_memory(lambda: twin(image), torch.device("cpu"))
    origin = {key: about[key] for key in ("training_set", "iterations") if key in about}
    return {
        "architecture": ARCHITECTURE,
        "scale": str(config.upscale),
        "task": config.task,
        "size_multiple": "1",
        "tile_multiple": str(window),
        "precision": precision,
        "bytes_per_pixel": str(round(need / side**2)),
        "recurrence": config.recurrence.mode,
        "categories": "argmax",
        "licence": about.get("licence", "not stated"),
        "sha256": state_hash(model),
        "config": json.dumps(config.to_dict()),
        **origin,
    }


def difference(network: OnnxNetwork, model: torch.nn.Module, size: tuple[int, int], precision: str = "fp32") -> float:
    """Compare two networks on one image of noise of H×W: the greatest difference of a value of the result.

    In fp16 it is relative to the result's greatest value where that exceeds 1: networks that sharpen make up to 2 of
    noise, and what a half rounds grows with the value.
    """
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(image)
        apart = (network(image) - expected).abs().max()
        return float(apart / expected.abs().max().clamp(min=1) if precision == "fp16" else apart)


def _serialize(graph: Any) -> bytes:
    import onnx_ir

    return onnx_ir.to_proto(graph).SerializeToString()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on what it does not simplify off the terminal."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
