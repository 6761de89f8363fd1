"""Weights of denoisers: embedded ones, files of ours, and files in the naming of the original UNetLRUAudio."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsm.audio.bidirectional import BidirectionalDenoiser
from lsm.audio.denoiser import UNetLRUAudio
from lsm.audio.streaming import StreamingDenoiser
from lsm.errors import CheckpointError, unknown_name
from lsm.weights.load import read_checkpoint
from lsm.weights.safetensors_file import write_safetensors

EMBEDDED = ("denoiser-16k", "denoiser-causal-16k", "denoiser-unet-16k")
"""Names of the embedded weights: for whole signals, causal, and the waveform network."""

_FOLDER = Path(__file__).parents[1] / "weights" / "embedded"

Network = UNetLRUAudio | StreamingDenoiser | BidirectionalDenoiser

NETWORKS: dict[str, type[nn.Module]] = {
    "unet": UNetLRUAudio,
    "causal": StreamingDenoiser,
    "bidirectional": BidirectionalDenoiser,
}
"""Networks by the name that files and the command line give them."""


@dataclass(frozen=True)
class Denoiser:
    """A network and what it expects.

    Args:
        network: (B, 1, T) → (B, 1, T), in eval mode.
        rate: Sampling rate in Hz that it was trained for.
        normalize: Whether its input is brought to a root mean square of 1.
    """

    network: Network
    rate: int = 16000
    normalize: bool = True

    @property
    def causal(self) -> bool:
        """Whether it can be streamed."""
        return isinstance(self.network, StreamingDenoiser)

    @property
    def latency(self) -> float | None:
        """Algorithmic latency of a stream in seconds; None if the network looks ahead."""
        return self.network.window / self.rate if isinstance(self.network, StreamingDenoiser) else None


def build_network(kind: str, settings: Mapping[str, Any]) -> Network:
    """Build a network with fresh parameters.

    Args:
        kind: One of `NETWORKS`.
        settings: Its arguments.

    Raises:
        CheckpointError: If the kind or a setting is unknown.
    """
    if kind not in NETWORKS:
        raise CheckpointError(unknown_name("denoiser network", kind, NETWORKS))
    try:
        network = NETWORKS[kind](**settings)
    except TypeError as error:
        raise CheckpointError(f"These are no settings of the denoiser {kind!r}: {dict(settings)}") from error
    assert isinstance(network, (UNetLRUAudio, StreamingDenoiser, BidirectionalDenoiser))
    return network


def describe(network: Network) -> dict[str, Any]:
    """Return what `build_network` needs: {"kind": …, "settings": …}, plain values."""
    kind = next(name for name, kind in NETWORKS.items() if isinstance(network, kind))
    return {"kind": kind, "settings": network.settings}


def save_denoiser(denoiser: Denoiser, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a denoiser as safetensors, with its configuration in the header.

    Args:
        denoiser: The network and what it expects.
        path: Where; replaced if it exists.
        metadata: More lines for the header, e.g. `training_set`.
    """
    config = {**describe(denoiser.network), "rate": denoiser.rate, "normalize": denoiser.normalize}
    header = {"format": "pt", "denoiser": json.dumps(config), **(metadata or {})}
    write_safetensors(denoiser.network, path, header)


def embedded_file(name: str) -> Path:
    """Return the file of one of `EMBEDDED`."""
    return _FOLDER / f"{name}.safetensors"


def load_denoiser(name_or_path: str | Path, device: str | torch.device = "cpu") -> Denoiser:
    """Load a denoiser.

    Args:
        name_or_path: One of `EMBEDDED`; a safetensors file of ours; or a `.pth`/`.safetensors` in the naming of the
            original UNetLRUAudio, which is taken to expect 16 kHz and signals as they are.
        device: Where to put it.

    Raises:
        CheckpointError: If the name is unknown, or the file cannot be read or is no denoiser.
    """
    path = embedded_file(str(name_or_path)) if name_or_path in EMBEDDED else Path(name_or_path)
    if not path.suffix and not path.exists():
        raise CheckpointError(f"{unknown_name('denoiser', str(name_or_path), EMBEDDED)} A file is given by its path.")
    state, metadata = read_checkpoint(path)
    try:
        config = json.loads(metadata["denoiser"]) if "denoiser" in metadata else _original_config(state)
        network = build_network(config["kind"], config["settings"])
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except (CheckpointError, RuntimeError, KeyError, json.JSONDecodeError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[:3])
        raise CheckpointError(f"{path} holds no denoiser that fits: {reason}") from error
    return Denoiser(network.to(device).eval(), config["rate"], config["normalize"])


def _original_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the configuration of a UNetLRUAudio off the shapes of its parameters."""
    firsts = {name: tensor for name, tensor in state.items() if re.fullmatch(r"down_blocks\.\d+\.0\.weight", name)}
    if not firsts or "final.weight" not in state:
        raise CheckpointError("it has no parameters named down_blocks.0.0.weight … final.weight")
    features = [firsts[f"down_blocks.{index}.0.weight"].shape[0] for index in range(len(firsts))]
    channels = firsts["down_blocks.0.0.weight"].shape[1], state["final.weight"].shape[0]
    settings = {"in_channels": channels[0], "out_channels": channels[1], "features": features}
    return {"kind": "unet", "settings": settings, "rate": 16000, "normalize": False}
