"""How images are upscaled, whatever the network: one frozen value, checked once. PyTorch is not needed here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from lsm.errors import OptionError, truncate_repr, unknown_name

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16", "fp16"]
Alpha = Literal["model", "bicubic", "drop"]
DEVICES = ("auto", "cpu", "cuda", "mps")
LARGEST_SCALE = 64


@dataclass(frozen=True)
class UpscaleOptions:
    """Options of an `Upscaler`.

    Attributes:
        tile: Side of a tile in low-resolution pixels, rounded down to a multiple of the network's window; 0 runs images
            whole; "auto" takes one that fits the memory there is now, and images of no more pixels than that run whole.
        tile_overlap: Low-resolution pixels that neighbouring tiles share at least.
        precision: "fp32", "bf16" or "fp16". A tile that is not finite in the latter is computed again in fp32.
        device: "auto", "cpu", "cuda", "cuda:1", "mps", or a torch device.
        ensemble: Average the results of the 8 flips and quarter turns (self-ensemble): better, and eight times slower.
        scale: What is wanted, the network's own by default; to another one its result is resampled (bicubic).
        alpha: How transparency is upscaled: "model", "bicubic", or "drop" to leave it out.
        seed: Of the random numbers that some networks draw, see `LSMConfig.recurrence`.
        frame: Pixels that are put around an image before the network, mirrored, and cropped after: else it errs at the
            edge, beyond which convolutions see black. 0 for none, as published protocols measure.
        wrap: Take them from the opposite side instead: a seamless texture stays seamless, at the network's own scale.
    """

    tile: int | str = "auto"
    tile_overlap: int = 32
    precision: Precision = "fp32"
    device: str | torch.device = "auto"
    ensemble: bool = False
    scale: float | None = None
    alpha: Alpha = "model"
    seed: int = 0
    frame: int = 8
    wrap: bool = False

    def __post_init__(self) -> None:
        """Check all values; a tile in digits becomes its number, a torch device its name.

        Raises:
            OptionError: On a wrong value. What depends on the network or the machine is checked by `Upscaler`.
        """
        object.__setattr__(self, "tile", _whole_tile(self.tile))
        object.__setattr__(self, "device", str(self.device))
        _check_whole("tile_overlap", self.tile_overlap)
        _check_whole("frame", self.frame)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise OptionError(f"Seed {truncate_repr(self.seed)} is no whole number.")
        for kind, name, known in (
            ("precision", self.precision, get_args(Precision)),
            ("way with alpha", self.alpha, get_args(Alpha)),
            ("device", str(self.device).split(":")[0], DEVICES),
        ):
            if name not in known:
                raise OptionError(unknown_name(kind, name, known))
        if self.scale is not None and not _is_scale(self.scale):
            raise OptionError(
                f"Scale {truncate_repr(self.scale)} is out of range: more than 0, at most {LARGEST_SCALE}."
            )

    def replace(self, **changes: Any) -> UpscaleOptions:
        """Return the same options but for some.

        Raises:
            OptionError: On an unknown name or a wrong value.
        """
        check_names(changes)
        return dataclasses.replace(self, **changes)


def check_names(values: Mapping[str, Any]) -> None:
    """Raise an `OptionError` unless all keys are names of `UpscaleOptions`."""
    known = [field.name for field in dataclasses.fields(UpscaleOptions)]
    for name in values:
        if name not in known:
            raise OptionError(unknown_name("option of Upscaler", name, known))


def _whole_tile(tile: int | str) -> int | str:
    """Return the tile as a number or "auto"."""
    if tile == "auto":
        return "auto"
    try:
        if isinstance(tile, (bool, float)):
            raise ValueError
        whole = int(tile)
    except (TypeError, ValueError):
        raise OptionError(f"Tile size {truncate_repr(tile)} is neither a whole number nor 'auto'.") from None
    _check_whole("tile", whole)
    return whole


def _check_whole(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f"`{name}` must be a whole number, not {truncate_repr(value)}.")
    if value < 0:
        raise OptionError(f"`{name}` cannot be negative (got {value}).")


def _is_scale(scale: object) -> bool:
    """Return whether a value is a number in range."""
    number = isinstance(scale, (int, float)) and not isinstance(scale, bool) and math.isfinite(scale)
    return number and 0 < scale <= LARGEST_SCALE  # type: ignore[operator]  # a number by then
