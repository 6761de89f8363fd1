"""What is compared: baselines, LSM networks, and networks that the library spandrel loads, behind one call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lsm.benchmark.baselines import BASELINES
from lsm.benchmark.settings import Settings
from lsm.errors import CheckpointError, OptionError, first_line
from lsm.inference.device import pick_device
from lsm.inference.upscaler import Upscaler
from lsm.profiling.complexity import complexity
from lsm.version import install_command
from lsm.weights import load_model
from lsm.weights.identity import state_hash
from lsm.weights.resolve import embedded_scales

OUTPUT_SIZE = (720, 1280)
"""Height and width of the output at which MACs are stated, as in the papers."""


@dataclass(frozen=True)
class MethodSpec:
    """A method at one scale, before it is loaded.

    Attributes:
        label: Its name in tables.
        source: A baseline's name, embedded weights, or the path of a weights file.
        scale: Its scale; 0 for a file whose scale is not known yet.
    """

    label: str
    source: str
    scale: int


@dataclass(frozen=True)
class MethodInfo:
    """What a report says of a method at one scale.

    Attributes:
        label: Its name in tables, with a "+" for self-ensemble.
        source: As in `MethodSpec`.
        scale: Its scale.
        architecture: "interpolation", "LSM", or what spandrel calls it.
        sha256: Of the parameters and configuration; of the name for a baseline.
        parameters: Learned numbers.
        macs: For an output of 1280×720, or none where they cannot be counted.
    """

    label: str
    source: str
    scale: int
    architecture: str
    sha256: str
    parameters: int
    macs: int | None


class Method:
    """A loaded method: 8-bit images in, 8-bit images out.

    Args:
        spec: Which.
        settings: How it runs.

    Raises:
        CheckpointError: If its weights cannot be read.
        OptionError: If the device is not there.
    """

    def __init__(self, spec: MethodSpec, settings: Settings) -> None:
        self.device = torch.device("cpu")
        self._upscaler: Upscaler | None = None
        self.scale, self.architecture = spec.scale, "interpolation"
        self._spec, self._settings = spec, settings
        if spec.source not in BASELINES:
            model, self.architecture = _load_network(spec.source, settings)
            self._upscaler = Upscaler(
                model,
                tile=settings.tile,
                tile_overlap=settings.tile_overlap,
                precision=settings.precision,
                device=settings.device,
                ensemble=settings.ensemble,
                frame=0,  # published figures are without one
            )
            self.device, self.scale = self._upscaler.device, self._upscaler.model_scale

    @property
    def label(self) -> str:
        """The name in tables; networks with self-ensemble have a "+"."""
        return self._spec.label + ("+" if self._upscaler and self._settings.ensemble else "")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Upscale `(H, W, 3)` uint8 to `(scale * H, scale * W, 3)` uint8."""
        if self._upscaler is None:
            return BASELINES[self._spec.source](image, self.scale)
        return self._upscaler(image)

    def info(self) -> MethodInfo:
        """Describe the method; MACs are counted, nothing is computed."""
        if self._upscaler is None:
            digest = hashlib.sha256(self._spec.source.encode()).hexdigest()
            return MethodInfo(self.label, self._spec.source, self.scale, self.architecture, digest, 0, 0)
        model = self._upscaler.model
        return MethodInfo(
            label=self.label,
            source=self._spec.source,
            scale=self.scale,
            architecture=self.architecture,
            sha256=state_hash(model),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            macs=_macs(model, self.scale),
        )


def parse_methods(text: str, scales: Sequence[int], settings: Settings) -> list[MethodSpec]:
    """Read a comma-separated list of methods.

    Each is a baseline (`bicubic`, `lanczos`), embedded weights (`tiny` for every scale, `tiny-x4` for one), the path of
    a weights file, or a path with `{scale}` in it; `LABEL=` before it names it in tables.

    Args:
        text: The list.
        scales: The scales wanted.
        settings: How the methods will run; files are opened to learn their scale.

    Returns:
        One entry for each method and scale, methods in the order given.

    Raises:
        OptionError: If a method is unknown, has none of the scales, or two have the same label.
        CheckpointError: If a file cannot be read.
    """
    specs: list[MethodSpec] = []
    for item in (part.strip() for part in text.split(",")):
        if not item:
            continue
        found = [spec for spec in _expand(item, scales, settings) if spec.scale in scales]
        if not found:
            wanted = ", ".join(f"×{scale}" for scale in scales)
            raise OptionError(f"Model {item!r} has none of the scales {wanted}; change `scales` or leave it out.")
        for spec in found:
            if any((spec.label, spec.scale) == (other.label, other.scale) for other in specs):
                raise OptionError(f"Two models are called {spec.label!r} at ×{spec.scale}; name one: LABEL={item}.")
            specs.append(spec)
    if not specs:
        raise OptionError("No models are given; set `models`, e.g. to tiny,bicubic.")
    return specs


def _expand(item: str, scales: Sequence[int], settings: Settings) -> list[MethodSpec]:
    """Turn one entry of the list into a specification for each of its scales."""
    label, source = "", item
    if "=" in item and not Path(item).exists():
        label, source = (part.strip() for part in item.split("=", 1))
    if source in BASELINES:
        return [MethodSpec(label or source, source, scale) for scale in scales]
    embedded = [scale for scale in scales if scale in embedded_scales(source)]
    if embedded and not Path(source).is_file():
        return [MethodSpec(label or source, f"{source}-x{scale}", scale) for scale in embedded]
    if "{scale}" in source:
        paths = {scale: source.replace("{scale}", str(scale)) for scale in scales}
        there = [(scale, path) for scale, path in paths.items() if Path(path).is_file()]
        if not there:
            raise OptionError(f"There is no file {paths[scales[0]]}, nor for another of the scales.")
        name = label or re.sub(r"[-_.]?x?\{scale\}", "", Path(source).stem)
        return [MethodSpec(name, path, _scale_of(path, settings)) for _, path in there]
    scale = _scale_of(source, settings)
    return [MethodSpec(label or re.sub(rf"[-_]x{scale}$", "", Path(source).stem), source, scale)]


def _scale_of(source: str, settings: Settings) -> int:
    config: Any = _load_network(source, settings)[0].config
    return config.upscale


def _load_network(source: str, settings: Settings) -> tuple[nn.Module, str]:
    """Load an LSM network, or else one that spandrel knows; return it with its architecture's name."""
    try:
        return load_model(source, recurrence=settings.recurrence), "LSM"
    except CheckpointError as error:
        if not Path(source).is_file():
            raise
        try:
            import spandrel
        except ImportError:
            raise CheckpointError(
                f"{error} Networks of other kinds are read by the library spandrel: {install_command('compare')}."
            ) from error
        try:
            descriptor = spandrel.ModelLoader(device="cpu").load_from_file(source)
        except Exception as foreign:  # spandrel and the networks it builds raise errors of every kind
            raise CheckpointError(
                f"{error} The library spandrel cannot read it either: {first_line(foreign)}"
            ) from foreign
        return _spandrel_network(descriptor, source), str(descriptor.architecture.name)


def _spandrel_network(descriptor: object, source: str) -> nn.Module:
    """Wrap what spandrel loaded, if it is a super-resolution network on RGB."""
    import spandrel

    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        raise CheckpointError(f"{source}: spandrel loads it, but it is no network from one image to one image.")
    if descriptor.input_channels != 3 or descriptor.output_channels != 3 or descriptor.scale < 2:
        raise CheckpointError(
            f"{source}: {descriptor.architecture.name} for ×{descriptor.scale} with {descriptor.input_channels} to "
            f"{descriptor.output_channels} channels is no super-resolution network on RGB."
        )
    return ForeignNetwork(descriptor)


class ForeignNetwork(nn.Module):
    """A network of another family; spandrel pads its input to sizes it can take, and crops the output.

    Args:
        descriptor: spandrel's `ImageModelDescriptor`, (1, 3, H, W) in [0, 1] to (1, 3, rH, rW) in [0, 1].
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.model = descriptor.model.eval()
        self.descriptor = descriptor
        multiple = max(descriptor.size_requirements.multiple_of, 8)
        self.config = SimpleNamespace(upscale=descriptor.scale, tile_multiple=multiple)

    def forward(self, image: Tensor) -> Tensor:
        """Upscale (1, 3, H, W) in [0, 1] to (1, 3, rH, rW)."""
        return self.descriptor(image)


def _macs(model: nn.Module, scale: int) -> int | None:
    """Count MACs; networks of others may compute in ways that cannot be counted without data."""
    height, width = (-(-side // scale) for side in OUTPUT_SIZE)
    try:
        return complexity(model, height, width).macs
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        if isinstance(model, ForeignNetwork):
            return None
        raise


def device_kind(settings: Settings) -> str:
    """Return the kind of device the settings lead to: "cpu", "cuda" or "mps"."""
    return pick_device(settings.device).type
