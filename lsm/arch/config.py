"""What an LSM network is made of, as data: a frozen configuration, and what no network can be built with."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lsm.errors import OptionError, unknown_name
from lsm.mixers.recurrence import RECURRENCES, Recurrence, RecurrenceConfig
from lsm.mixers.registry import check_mixer_options
from lsm.mixers.windows import check_window
from lsm.typecheck import check_type

__all__ = ["RECURRENCES", "LSMConfig", "Recurrence", "RecurrenceConfig", "with_recurrence"]

PLACEMENTS = ("alternate", "attention", "mixer")
INITS = {"light": ("random", "bilinear"), "classical": ("random",)}
"""By upsampler; at scale 1 it is `RESTORING_INITS`."""
RESTORING_INITS = ("random", "identity")
SCALES = {"light": (1, 2, 3, 4), "classical": (1, 2, 3, 4, 8)}
"""By upsampler, which these are the names of."""
TASKS = ("sr", "denoise", "jpeg")
"""What a network is trained for: super-resolution; or at scale 1 to remove Gaussian noise, or JPEG's artefacts."""
UNSHUFFLES = (1, 2, 4)


@dataclass(frozen=True)
class LSMConfig:
    """Everything that decides the architecture and what it computes; the defaults are LSM-light's at ×4.

    Attributes:
        upscale: r, one of 2, 3, 4; 8 with the classical upsampler. 1 for the tasks of restoration, whose networks add
            what they compute to their input.
        task: One of `TASKS`.
        unshuffle: u, at scale 1: u×u pixels become one token by a pixel unshuffle. 2 or 4 for a network that is as much
            faster as it has fewer tokens (as FFDNet does), 1 for a token a pixel.
        in_chans: Channels of the image, 3 (RGB).
        embed_dim: C, even.
        depths: Blocks in each residual group; even ones are WMS, odd ones CML.
        num_heads: Attention heads; each orientation of the windows has half of them. An odd number is rounded down, as
            the published networks do (their 5 are 2 for each orientation).
        mlp_ratio: Width of the gated MLP over C.
        d_state: N, complex states of the recurrence; its dictionary has T = 4·N prototypes.
        split_size: (h, w) of the attention windows, one a multiple of the other.
        pos_dim: Width of the MLP of the position bias; a 0 stands for the paper's, ((C/2)//4)//4. At LSM-light's
            C = 60 that is 1, and its LayerNorms of one value leave a bias that is the same for every offset.
        upsampler: "light" (one convolution and a pixel shuffle) or "classical" (64 channels, one shuffle a factor of
            2).
        img_range: Factor on the input after the mean is subtracted.
        rgb_mean: Mean of the training images, in [0, 1].
        drop_path_rate: Chance to skip the last block's branches in training; rises linearly from 0 over the blocks.
        recurrence: What the CML's recurrence computes. In configs and as an argument of `create_model` a name,
            "paper", "official" or "gated", or a mapping, `{mode: gated, scan_order: hilbert}`.
        placement: "alternate" (window attention in even blocks, the mixer in odd ones), or one of them in every block:
            "attention" or "mixer".
        mixer: What stands in the CML's place: "cml", or another of `lsm.mixers.registry.MIXERS`.
        mixer_options: Options of that mixer; "cml" and "attention" have none, they take the network's.
        mixer_mlp_ratio: `mlp_ratio` of the blocks with that mixer; a 0 stands for `mlp_ratio`.
        init: "random" (the paper's initial values), or with the light upsampler "bilinear": the untrained network
            upscales bilinearly, so that a short training need not spend itself on learning the identity. At scale 1
            "identity", which "bilinear" means there too: the untrained network returns its input. An empty one stands
            for "identity" at scale 1, else for "random".
    """

    upscale: int = 4
    task: str = "sr"
    unshuffle: int = 1
    in_chans: int = 3
    embed_dim: int = 60
    depths: tuple[int, ...] = (6, 6, 6, 6)
    num_heads: int = 4
    mlp_ratio: float = 1.0
    d_state: int = 16
    split_size: tuple[int, int] = (8, 32)
    pos_dim: int = 0
    upsampler: str = "light"
    img_range: float = 1.0
    rgb_mean: tuple[float, float, float] = (0.4488, 0.4371, 0.4040)
    drop_path_rate: float = 0.1
    recurrence: RecurrenceConfig = field(default_factory=RecurrenceConfig)
    placement: str = "alternate"
    mixer: str = "cml"
    mixer_options: dict[str, Any] = field(default_factory=dict, hash=False)
    mixer_mlp_ratio: float = 0.0
    init: str = ""

    def __post_init__(self) -> None:
        """Normalise lists to tuples, fill in what is left empty, and check what can be wrong.

        Raises:
            OptionError: On a value that no network can be built with.
        """
        set_field = object.__setattr__
        for name in ("depths", "split_size", "rgb_mean"):
            set_field(self, name, tuple(getattr(self, name)))
        set_field(self, "recurrence", RecurrenceConfig.parse(self.recurrence))
        set_field(self, "num_heads", self.num_heads // 2 * 2)
        set_field(self, "pos_dim", self.pos_dim or max(1, self.embed_dim // 2 // 4 // 4))
        if self.upscale == 1 and self.init in ("", "bilinear"):
            set_field(self, "init", "identity")
        set_field(self, "init", self.init or "random")
        for name, known in _choices(self).items():
            if getattr(self, name) not in known:
                raise OptionError(unknown_name(f"{name} of LSM", getattr(self, name), map(str, known)))
        check_window(self.split_size)
        check_mixer_options(self.mixer, self.mixer_options)
        set_field(self, "mixer_options", dict(self.mixer_options))
        for wrong, why in _contradictions(self):
            if wrong:
                raise OptionError(f"LSM cannot be built: {why} (got {str(self)[:1000]}).")

    @property
    def tile_multiple(self) -> int:
        """Side in input pixels of what all attention windows fit into: tiles of its multiples are cut as they are."""
        return max(self.split_size) * self.unshuffle

    @property
    def num_tokens(self) -> int:
        """T, the prototypes of the dictionary: a quarter each modulates λ, B, Re C and Im C."""
        return 4 * self.d_state

    @property
    def purpose(self) -> str:
        """What the network does to an image, for people: "×4", or a task of restoration."""
        return f"×{self.upscale}" if self.task == "sr" else self.task

    def mlp_hidden(self, *, mixer: bool) -> int:
        """Return the width of the gated MLP of the blocks with the mixer, or of those with window attention."""
        # Rounded first, so that a ratio written as a decimal fraction gives the width it was computed from.
        return int(round(self.embed_dim * ((mixer and self.mixer_mlp_ratio) or self.mlp_ratio), 3))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LSMConfig:
        """Build a configuration from a mapping.

        Raises:
            OptionError: On an unknown field, with the nearest known one, or a wrong value.
        """
        known = typing.get_type_hints(cls)
        inner = {item.name for item in dataclasses.fields(RecurrenceConfig)}
        if "recurrence" in values:
            values = {**values, "recurrence": RecurrenceConfig.parse(values["recurrence"])}
        for name, value in values.items():
            if name in inner:
                raise OptionError(f"{name} is an option of the recurrence: write recurrence: {{{name}: …}}.")
            if name not in known:
                raise OptionError(unknown_name("option of LSM", name, known))
            check_type("LSM", name, value, known[name])
        return cls(**values)


def with_recurrence(config: LSMConfig, mode: str) -> LSMConfig:
    """Return a configuration with the recurrence of another mode, and what follows from it; all else stays.

    Raises:
        OptionError: On an unknown mode, or one that the network's mixer does not have.
    """
    return dataclasses.replace(config, recurrence=config.recurrence.with_mode(mode))


def _choices(config: LSMConfig) -> dict[str, Collection[Any]]:
    """List what each field that is one of several values may be; the upsampler comes before what depends on it."""
    restores = config.upscale == 1
    return {
        "placement": PLACEMENTS,
        "upsampler": SCALES,
        "init": RESTORING_INITS if restores else INITS.get(config.upsampler, ()),
        "upscale": SCALES.get(config.upsampler, ()),
        "task": TASKS,
        "unshuffle": UNSHUFFLES if restores else UNSHUFFLES[:1],
    }


def _contradictions(config: LSMConfig) -> tuple[tuple[object, str], ...]:
    """List what can be wrong with values that are right one by one: whether it is, and why."""
    hiddens, half_heads = [config.mlp_hidden(mixer=mixer) for mixer in (False, True)], config.num_heads // 2
    return (
        (
            (config.upscale == 1) != (config.task != "sr"),
            "scale 1 needs the task denoise or jpeg, and other scales the task sr",
        ),
        (half_heads < 1 or config.embed_dim % (2 * half_heads), "embed_dim must be a multiple of the heads in use"),
        (
            any(hidden < 2 or hidden % 2 for hidden in hiddens),
            "embed_dim × mlp_ratio must be even, and × mixer_mlp_ratio too",
        ),
        (
            config.mixer in ("cml", "attention") and config.mixer_options,
            "the mixers cml and attention take the options of the network itself, not mixer_options",
        ),
        (config.recurrence.mode == "official" and config.mixer != "cml", "the official recurrence needs the mixer cml"),
        (not config.depths or min(config.depths) < 1, "depths must list one number of blocks, at least 1, a group"),
        (len(config.rgb_mean) != config.in_chans, "rgb_mean must hold one value a channel"),
        (config.img_range <= 0, "img_range must be positive"),
        (not 0 <= config.drop_path_rate < 1, "drop_path_rate must lie in [0, 1)"),
        (
            min(config.embed_dim, config.d_state, config.in_chans, config.pos_dim) < 1,
            "embed_dim, d_state, in_chans and pos_dim must be positive",
        ),
    )
