"""A network in an ONNX file, run by onnxruntime behind the face of a torch module: `Upscaler` sees no difference."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from lsm.errors import CheckpointError, OptionError, first_line, needs_extra
from lsm.inference.device import check_precision, pick_device

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}
"""onnxruntime's name for each kind of device."""

ARCHITECTURE = "LSM"
"""What `lsm export` writes into the file's metadata as `architecture`."""


class OnnxNetwork(nn.Module):
    """An exported network: (1, 3, H, W) in [0, 1] → (1, 3, rH, rW), any H, W ≥ 1.

    Args:
        path: A file that `lsm export onnx` wrote; what it says of itself stands in `metadata`.

    Attributes:
        config: `upscale` and `tile_multiple`, as `Upscaler` asks for them, and `task`.
        precision: "fp32" or "fp16", of the products inside; input and output are float32.
        bytes_per_pixel: Memory that it takes for each low-resolution pixel.

    Raises:
        CheckpointError: If the file is missing, damaged, or was not written by `lsm export onnx`.
        OptionError: If onnxruntime is not installed.
    """

    engine = "onnxruntime"

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        if not self.path.is_file():
            raise CheckpointError(f"There is no ONNX file {path}.")
        self._place = ("cpu", 0)
        self._session = self._open(*self._place)
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        if self.metadata.get("architecture") != ARCHITECTURE:
            raise CheckpointError(f"{path} is an ONNX file of another program; `lsm export onnx` writes those of LSM.")
        try:
            window = int(self.metadata["tile_multiple"])
            self.config = SimpleNamespace(
                upscale=int(self.metadata["scale"]), tile_multiple=window, task=self.metadata.get("task", "sr")
            )
            self.bytes_per_pixel = float(self.metadata["bytes_per_pixel"])
            self.precision = check_precision(self.metadata["precision"])
        except (KeyError, ValueError, OptionError) as error:
            raise CheckpointError(
                f"{path} lacks a part of the metadata that `lsm export onnx` writes: {error}."
            ) from error

    @staticmethod
    def pick_device(name: str | torch.device) -> torch.device:
        """Turn a device's name into a device that onnxruntime has; "auto" is CUDA where both it and torch have it.

        Raises:
            OptionError: If the name is unknown or the device is not there.
        """
        there = _runtime().get_available_providers()
        if str(name) == "auto":
            return torch.device("cuda" if PROVIDERS["cuda"] in there and torch.cuda.is_available() else "cpu")
        kind = str(name).split(":")[0]
        if kind in PROVIDERS and PROVIDERS[kind] not in there:
            raise OptionError(f"The installed onnxruntime cannot run on {name}; it has {', '.join(there)}.")
        return torch.device(name) if kind == "mps" else pick_device(name)

    def to(self, device: torch.device) -> OnnxNetwork:  # type: ignore[override]
        """Run on another device from now on."""
        place = device.type, device.index or 0
        if place != self._place:
            self._session, self._place = self._open(*place), place
        return self

    def forward(self, image: Tensor) -> Tensor:
        """Upscale one image.

        Raises:
            MemoryError: If memory does not suffice.
        """
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        try:
            (result,) = self._session.run(None, {"image": image.float().cpu().numpy()})
        except (states.RuntimeException, states.Fail) as error:
            # Allocators say it in several ways, all as plain errors of the operator that asked for the memory.
            if any(sign in str(error).lower() for sign in ("alloc", "out of memory")):
                raise MemoryError(str(error)) from error
            raise
        return torch.from_numpy(result)

    def _open(self, kind: str, index: int) -> Any:
        """Open a session, with as many threads as torch uses."""
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # With it, results wait for others of their size to take their place: three times the memory, and no faster.
        options.enable_mem_reuse = False
        options.log_severity_level = 3  # errors; warnings are about graph details that nobody can mend
        provider = (PROVIDERS[kind], {"device_id": index}) if kind == "cuda" else PROVIDERS[kind]
        providers = [provider] if kind == "cpu" else [provider, PROVIDERS["cpu"]]
        try:
            return runtime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # its errors have no base of their own
            raise CheckpointError(f"onnxruntime cannot read {self.path}: {first_line(error)}") from error


def _runtime() -> Any:
    """Import onnxruntime.

    Raises:
        OptionError: If it is not installed.
    """
    with needs_extra("onnx", "ONNX files are run by onnxruntime"):
        import onnxruntime
    return onnxruntime
