"""Which network a name means: embedded weights, a preset at a scale, or a file."""

from __future__ import annotations

import re
from pathlib import Path

from lsm.arch import LSM, PRESETS, create_model
from lsm.inference.onnx_network import OnnxNetwork
from lsm.weights import EMBEDDED, load_model

_NAME = re.compile(r"(?P<variant>.+)-x(?P<scale>\d+)")


def weights_for(name: str | None, scale: float | None) -> str:
    """Complete what a user says of the weights.

    Args:
        name: Embedded weights, a preset whose weights are embedded ("tiny"), or a file; none for the default.
        scale: The enlargement wanted; none for the network's own.

    Returns:
        A name or path for `load_model`: for a preset the weights of the smallest scale that reaches the one wanted, so
        that pictures are rather shrunk afterwards than blown up; ×4 if none is wanted.
    """
    variants = {re.fullmatch(_NAME, known)["variant"] for known in EMBEDDED}  # type: ignore[index]
    variant = "tiny" if name is None else name
    if variant not in variants or Path(variant).is_file():
        return variant
    scales = sorted(int(known.removeprefix(f"{variant}-x")) for known in EMBEDDED if known.startswith(f"{variant}-x"))
    wanted = 4 if scale is None else scale
    return f"{variant}-x{next((known for known in scales if known >= wanted), scales[-1])}"


def open_network(name: str) -> LSM | OnnxNetwork:
    """Open a network to be used: any weights of `load_model`, or a file that `lsm export onnx` wrote.

    Raises:
        CheckpointError: If it cannot be read.
        OptionError: If it needs a package that is not installed.
    """
    return OnnxNetwork(name) if Path(name).suffix.lower() == ".onnx" else load_model(name)


def open_model(name: str) -> tuple[LSM, str]:
    """Open a network to be described rather than used: a preset without embedded weights gets random ones.

    Args:
        name: Embedded weights, a preset at a scale ("light-x4"), or a file.

    Returns:
        The network in eval mode, and where its weights come from: "embedded", "file", or "random".
    """
    match = re.fullmatch(_NAME, name)
    if name not in EMBEDDED and match and match["variant"] in PRESETS and not Path(name).exists():
        return create_model(match["variant"], int(match["scale"])).eval(), "random"
    return load_model(weights_for(name, None)), "embedded" if name in EMBEDDED else "file"
