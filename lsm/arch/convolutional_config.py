"""What a convolutional network with context blocks is made of, as data."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsm.arch.config import TASKS, UNSHUFFLES
from lsm.errors import OptionError, unknown_name
from lsm.mixers.recurrence import RecurrenceConfig
from lsm.typecheck import check_type

_CATEGORIES = {"categories": "argmax"}
_ARG_MAX = RecurrenceConfig(categories="argmax")


@dataclass(frozen=True)
class ConvolutionalConfig:
    """Everything that decides the architecture and what it computes; the defaults are those of `fast` at ×4.

    Attributes:
        upscale: r, one of 2, 3, 4; 1 for the tasks of restoration, whose networks add what they compute to their input.
        task: One of `TASKS`.
        unshuffle: u, side of the squares of pixels that become channels, at scale 1: 1, 2 or 4.
        in_chans: Channels of the image, 3 (RGB).
        embed_dim: C; best a multiple of 8, since a CPU's convolutions work in blocks of 8 channels.
        blocks: Number of residual blocks.
        context_after: Residual blocks, counted from 1, after which a context block follows; may be empty.
        context_dim: D, channels of a token of a context block.
        context_stride: s, side of a token in pixels.
        context_mlp_ratio: Width of the context block's gated MLP over D.
        d_state: N, complex states of the recurrence; its dictionary has 4N prototypes.
        recurrence: What the recurrence computes, "paper" or "gated", or a mapping with details, see
            `lsm.mixers.recurrence.RecurrenceConfig`; categories are the arg max in training too.
        rgb_mean: Mean of the training images, in [0, 1].
    """

    upscale: int = 4
    task: str = "sr"
    unshuffle: int = 1
    in_chans: int = 3
    embed_dim: int = 32
    blocks: int = 7
    context_after: tuple[int, ...] = (3, 6)
    context_dim: int = 32
    context_stride: int = 2
    context_mlp_ratio: float = 1.0
    d_state: int = 8
    recurrence: RecurrenceConfig = _ARG_MAX
    rgb_mean: tuple[float, float, float] = (0.4488, 0.4371, 0.4040)

    def __post_init__(self) -> None:
        """Normalise lists to tuples, and check what can be wrong.

        Raises:
            OptionError: On a value that no network can be built with.
        """
        for name in ("context_after", "rgb_mean"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "recurrence", RecurrenceConfig.parse(self.recurrence, _CATEGORIES))
        restores = self.upscale == 1
        choices: dict[str, tuple[Any, ...]] = {
            "upscale": (1, 2, 3, 4),
            "task": TASKS,
            "unshuffle": UNSHUFFLES if restores else UNSHUFFLES[:1],
            "context_stride": (1, 2, 4),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise OptionError(unknown_name(f"{name} of fast", getattr(self, name), map(str, known)))
        for wrong, why in self._contradictions():
            if wrong:
                raise OptionError(f"The network cannot be built: {why} (got {str(self)[:1000]}).")

    def _contradictions(self) -> tuple[tuple[bool, str], ...]:
        """List what can be wrong with values that are right one by one: whether it is, and why."""
        hidden = int(round(self.context_dim * self.context_mlp_ratio, 3))
        numbers = (self.embed_dim - self.in_chans, self.blocks, self.context_dim - 1, self.d_state, self.in_chans)
        return (
            (min(numbers) < 1, "embed_dim must exceed in_chans, and blocks, context_dim and d_state be positive"),
            (
                (self.upscale == 1) != (self.task != "sr"),
                "scale 1 needs the task denoise or jpeg, and other scales the task sr",
            ),
            (self.recurrence.mode == "official", "the official recurrence is that of LSM's published networks"),
            (hidden < 2 or hidden % 2 != 0, "context_dim × context_mlp_ratio must be even"),
            (len(self.rgb_mean) != self.in_chans, "rgb_mean must hold one value a channel"),
            (
                any(not 1 <= number <= self.blocks for number in self.context_after)
                or len(set(self.context_after)) != len(self.context_after),
                "context_after must list different residual blocks, counted from 1",
            ),
        )

    @property
    def mixer(self) -> str:
        """The token mixer of the context blocks."""
        return "cml"

    @property
    def img_range(self) -> float:
        """Factor on the input after the mean is subtracted."""
        return 1.0

    @property
    def tile_multiple(self) -> int:
        """Side in input pixels that tiles are a multiple of: there, every token of a context block is whole."""
        return 8 * self.context_stride * self.unshuffle

    @property
    def purpose(self) -> str:
        """What the network does to an image, for people: "×4", or a task of restoration."""
        return f"×{self.upscale}" if self.task == "sr" else self.task

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConvolutionalConfig:
        """Build a configuration from a mapping.

        Raises:
            OptionError: On an unknown field, with the nearest known one, or a value of a wrong type.
        """
        known = typing.get_type_hints(cls)
        if "recurrence" in values:
            values = {**values, "recurrence": RecurrenceConfig.parse(values["recurrence"], _CATEGORIES)}
        for name, value in values.items():
            if name not in known:
                raise OptionError(unknown_name("option of fast", name, known))
            check_type("fast", name, value, known[name])
        return cls(**values)
