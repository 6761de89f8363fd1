"""What there is to compute with, measured: devices, backends of the scan, the network, and the optional packages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm.errors import first_line
from lsm.inference.device import set_precision
from lsm.inference.memory import available_memory
from lsm.profiling.complexity import format_quantity
from lsm.profiling.timing import shortest_time
from lsm.scan import linear_scan
from lsm.scan.api import default_backend
from lsm.scan.op import BACKENDS
from lsm.version import install_command, installed_version
from lsm.weights import load_model

SCAN_SHAPE = (1, 4096, 16)
"""Batch, steps and complex states of the measured scan: an image of 64×64 in LSM-light."""

SIDE = 128
"""Of the measured image, in pixels."""


@dataclass(frozen=True)
class Extra:
    """An optional part of the package.

    Attributes:
        packages: What it installs.
        brings: What works only with it.
    """

    packages: tuple[str, ...]
    brings: str


EXTRAS = {
    "train": Extra(
        ("basicsr", "torchvision", "timm", "scikit-image", "scipy", "pyyaml", "pydantic"),
        "`lsm train`, `lsm test` and ablations",
    ),
    "fast": Extra(("numba",), "the scan on CPUs as compiled loops"),
    "onnx": Extra(("onnxruntime", "onnxscript", "onnx"), "`lsm export onnx`, and ONNX files in `lsm upscale`"),
    "hub": Extra(("huggingface-hub",), "weights on the Hugging Face hub, and the published checkpoints by name"),
    "compare": Extra(("spandrel",), "networks of other families in `lsm benchmark`; LSM in programs that use spandrel"),
    "report": Extra(("matplotlib",), "the plots of a benchmark's report"),
    "audio": Extra(("soundfile", "soxr", "pystoi"), "`lsm denoise` and its training"),
    "perceptual": Extra(("lpips", "DISTS-pytorch"), "LPIPS and DISTS in validations, LPIPS in `lsm benchmark`"),
    "pesq": Extra(("pesq",), "perceptual quality of denoised speech"),
    "demo": Extra(("gradio",), "`lsm demo`, the page in a browser"),
    "ray": Extra(("ray",), "`lsm upscale --ray`: the work spread over a cluster"),
    "video": Extra(("av",), "`lsm upscale-video`"),
    "formats": Extra(("pillow-heif", "pillow-jxl-plugin"), "HEIC and JPEG XL images"),
    "lmdb": Extra(("lmdb",), "`lsm data prepare --lmdb`"),
    "docs": Extra(("mkdocs-material", "mkdocstrings"), "the documentation as a site, by `mkdocs build`"),
}


def devices() -> dict[torch.device, str]:
    """List the devices that torch can compute on, each with its name and free memory."""
    found = {torch.device("cpu"): f"{torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        found[torch.device("cuda", index)] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        found[torch.device("mps")] = "Apple GPU"
    return {
        place: f"{name}, {format_quantity(available_memory(place), 'B', 1024)} free" for place, name in found.items()
    }


def scan_speeds(device: torch.device) -> dict[str, str]:
    """Measure each backend of the scan on a device: milliseconds, or why it does not run there."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(SCAN_SHAPE, generator=generator).mul(0.7).to(device) for _ in range(4)]
    return {name: _scan_speed(name, inputs, device) for name in BACKENDS}


def _scan_speed(name: str, inputs: list[Tensor], device: torch.device) -> str:
    a, b = (inputs[0], inputs[1]), (inputs[2], inputs[3])
    try:
        best = shortest_time(lambda: linear_scan(a, b, backend=name), device)
    except (ValueError, RuntimeError, ImportError) as error:
        return f"not here: {first_line(error)}"
    return f"{best * 1e3:.2f} ms" + (", the default" if name == default_backend(device) else "")


def network_speed(device: torch.device) -> str:
    """Measure the embedded tiny ×4 on an image of `SIDE`², in float32."""
    model, image = load_model("tiny-x4", device=device), torch.zeros(1, 3, SIDE, SIDE, device=device)
    with set_precision(device, "fp32"):
        best = shortest_time(lambda: model(image), device)
    return f"{best * 1e3:.0f} ms, {SIDE**2 / best / 1e6:.3f} megapixels of input a second"


def extras() -> dict[str, str]:
    """Describe each extra: the versions installed, or what is missing and what it would bring."""
    described = {}
    for name, extra in EXTRAS.items():
        versions = {package: installed_version(package) for package in extra.packages}
        missing = [package for package, version in versions.items() if version is None]
        there = ", ".join(f"{package} {version}" for package, version in versions.items() if version is not None)
        if missing:
            described[name] = f"missing {', '.join(missing)}: {install_command(name)} brings {extra.brings}"
        else:
            described[name] = f"{there}: {extra.brings}"
    return described


def onnx_providers() -> str:
    """Return what onnxruntime can run on, or that it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return "not installed"
    return ", ".join(onnxruntime.get_available_providers())
