"""What an LSM network is made of, as data: a frozen configuration, and what no network can be built with."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lsm.errors import OptionError, unknown_name
from lsm.mixers.registry import check_mixer_options
from lsm.mixers.scan_order import check_order
from lsm.mixers.transition import TRANSITIONS
from lsm.typecheck import check_type

_PAPER = {"transition": "product", "input_norm": "learned", "modulation": "softmax", "scan_order": "category"}

RECURRENCES: dict[str, dict[str, str]] = {
    "paper": _PAPER,
    "official": _PAPER,
    "gated": {"transition": "gate", "input_norm": "unit", "modulation": "mean_one", "scan_order": "cross"},
}
"""What the recurrence computes, by name: the values of the fields that are left empty.

- `paper`: a_k = λ ⊙ M_λ along the tokens of each image, in the order of their categories.
- `gated`: |a_k| = |λ|^(8 σ(−S_λ,k)) with the phase of λ, h_k = a_k ⊙ h_{k−1} + √(1 − |a_k|²) ⊙ T M_B,k ⊙ γ ⊙ (B u_k),
  y_k = Re((C ⊙ T M_C,k) h_k) + D u_k, summed over rows and columns, both ways: a state that remembers tens of tokens,
  where the paper's forgets at the next one; docs/ablation.md says what that brings.
- `official`: as the published implementation computes, see `lsm.mixers.semantic_lru.SemanticLRU`, `batch_scan`.
"""

RECURRENCE_FIELDS = (
    *("r_min", "r_max", "max_phase", "transition", "input_norm", "modulation", "scan_order", "reset", "enhancement"),
    *("categories", "temperature"),
)
"""The fields that `SemanticLRU` takes under the same name."""

INPUT_NORMS = ("learned", "unit")
MODULATIONS = ("softmax", "mean_one", "none")
PLACEMENTS = ("alternate", "attention", "mixer")
DICTIONARIES = ("block", "shared")
CATEGORIES = ("gumbel", "argmax")
HEADS = ("light", "classical")
STARTS = {"light": ("random", "bilinear"), "classical": ("random",)}
"""By head; at scale 1 it is `RESTORING_STARTS`."""
RESTORING_STARTS = ("random", "identity")
SCALES = {"light": (1, 2, 3, 4), "classical": (1, 2, 3, 4, 8)}
TASKS = ("sr", "denoise", "jpeg")
"""What a network is trained for: super-resolution; or at scale 1 to remove Gaussian noise, or JPEG's artefacts."""
UNSHUFFLES = (1, 2, 4)
LARGEST_WINDOW, MOST_WINDOW_TOKENS = 256, 4096
"""Beyond these, the pairs of a window's tokens, or the padding of an image to whole windows, would fill any memory."""


@dataclass(frozen=True)
class LSMConfig:
    """Everything that decides the architecture and what it computes; the defaults are LSM-light's at ×4.

    Attributes:
        upscale: r, one of 2, 3, 4; 8 with the classical head. 1 for the tasks of restoration, whose networks add what
            they compute to their input.
        task: One of `TASKS`.
        unshuffle: Side of the squares of pixels that become one token, at scale 1: 2 or 4 for a network that is as
            much faster as it has fewer tokens (as FFDNet does), 1 for a token a pixel.
        in_chans: Channels of the image, 3 (RGB).
        embed_dim: C, even.
        depths: Blocks in each residual group; even ones are WMS, odd ones CML.
        num_heads: Attention heads; each orientation of the windows has half of them. An odd number is rounded down, as
            the published networks do (their 5 are 2 for each orientation).
        mlp_ratio: Width of the gated MLP over C.
        d_state: N, complex states of the recurrence.
        num_tokens: T, prototypes of a dictionary, 4·N; a 0 stands for that.
        split_size: (h, w) of the attention windows.
        pos_dim: Width of the MLP of the position bias; a 0 stands for the paper's, ((C/2)//4)//4. At LSM-light's
            C = 60 that is 1, and its LayerNorms of one value leave a bias that is the same for every offset.
        head: "light" (one convolution and a pixel shuffle) or "classical" (64 channels, one shuffle a factor of 2).
        img_range: Factor on the input after the mean is subtracted.
        rgb_mean: Mean of the training images, in [0, 1].
        drop_path_rate: Chance to skip the last block's branches in training; rises linearly from 0 over the blocks.
        r_min: Least |λ| at the start.
        r_max: Greatest |λ| at the start.
        max_phase: Greatest phase of λ at the start, radians.
        recurrence: One of `RECURRENCES`; it gives `transition`, `input_norm`, `modulation`, `scan_order` their values
            where these are empty.
        transition: One of `lsm.mixers.transition.TRANSITIONS`.
        input_norm: "learned" or "unit", see `lsm.mixers.semantic_lru.SemanticLRU`.
        modulation: Of B and C: "softmax", "mean_one" or "none", see there.
        scan_order: "category" or a spatial order, see `lsm.mixers.scan_order.directions`.
        reset: Whether the state starts from zero in each category.
        enhancement: Whether half of the mixer's channels are the dictionary's enhancement.
        dictionary: "block" (each mixer has prototypes of its own) or "shared" (one set for the network, which each
            mixer looks up with maps of its own).
        placement: "alternate" (window attention in even blocks, the mixer in odd ones), or one of them in every block:
            "attention" or "mixer".
        categories: "gumbel" or "argmax": how tokens get their category in training.
        temperature: Of the Gumbel drawing.
        mixer: What stands in the CML's place: "cml", or another of `lsm.mixers.registry.MIXERS`.
        mixer_options: Options of that mixer; "cml" and "attention" have none, they take the network's.
        mixer_mlp_ratio: `mlp_ratio` of the blocks with that mixer; a 0 stands for `mlp_ratio`.
        start: "random" (the paper's initial values), or with the light head "bilinear": the untrained network upscales
            bilinearly, so that a short training need not spend itself on learning the identity. At scale 1 "identity",
            which "bilinear" means there too: the untrained network returns its input. An empty one stands for
            "identity" at scale 1, else for "random".
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
    num_tokens: int = 0
    split_size: tuple[int, int] = (8, 32)
    pos_dim: int = 0
    head: str = "light"
    img_range: float = 1.0
    rgb_mean: tuple[float, float, float] = (0.4488, 0.4371, 0.4040)
    drop_path_rate: float = 0.1
    r_min: float = 0.9
    r_max: float = 0.99
    max_phase: float = 6.283
    recurrence: str = "paper"
    transition: str = ""
    input_norm: str = ""
    modulation: str = ""
    scan_order: str = ""
    reset: bool = False
    enhancement: bool = True
    dictionary: str = "block"
    placement: str = "alternate"
    categories: str = "gumbel"
    temperature: float = 1.0
    mixer: str = "cml"
    mixer_options: dict[str, Any] = field(default_factory=dict, hash=False)
    mixer_mlp_ratio: float = 0.0
    start: str = ""

    def __post_init__(self) -> None:
        """Normalise lists to tuples, fill in what is left empty, and check what can be wrong.

        Raises:
            OptionError: On a value that no network can be built with.
        """
        set_field = object.__setattr__
        for name in ("depths", "split_size", "rgb_mean"):
            set_field(self, name, tuple(getattr(self, name)))
        set_field(self, "num_tokens", self.num_tokens or 4 * self.d_state)
        set_field(self, "num_heads", self.num_heads // 2 * 2)
        set_field(self, "pos_dim", self.pos_dim or max(1, self.embed_dim // 2 // 4 // 4))
        if self.upscale == 1 and self.start in ("", "bilinear"):
            set_field(self, "start", "identity")
        set_field(self, "start", self.start or "random")
        if self.recurrence not in RECURRENCES:
            raise OptionError(unknown_name("recurrence of LSM", self.recurrence, RECURRENCES))
        for name, value in RECURRENCES[self.recurrence].items():
            set_field(self, name, getattr(self, name) or value)
        for name, known in _choices(self).items():
            if getattr(self, name) not in known:
                raise OptionError(unknown_name(f"{name} of LSM", getattr(self, name), map(str, known)))
        check_order(self.scan_order)
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
            OptionError: On an unknown field, with the nearest known one, or a value of a wrong type.
        """
        known = typing.get_type_hints(cls)
        for name, value in values.items():
            if name not in known:
                raise OptionError(unknown_name("option of LSM", name, known))
            check_type("LSM", name, value, known[name])
        return cls(**values)


def with_recurrence(config: LSMConfig, recurrence: str) -> LSMConfig:
    """Return a configuration with other recurrence, and what follows from them; all else stays.

    Raises:
        OptionError: On unknown recurrence.
    """
    if recurrence == config.recurrence:
        return config
    return LSMConfig.from_dict(config.to_dict() | dict.fromkeys(_PAPER, "") | {"recurrence": recurrence})


def _choices(config: LSMConfig) -> dict[str, Collection[Any]]:
    """List what each field that is one of several values may be; the head comes before what depends on it."""
    restores = config.upscale == 1
    return {
        "transition": TRANSITIONS,
        "input_norm": INPUT_NORMS,
        "modulation": MODULATIONS,
        "placement": PLACEMENTS,
        "categories": CATEGORIES,
        "dictionary": DICTIONARIES,
        "head": HEADS,
        "start": RESTORING_STARTS if restores else STARTS.get(config.head, ()),
        "upscale": SCALES.get(config.head, ()),
        "task": TASKS,
        "unshuffle": UNSHUFFLES if restores else UNSHUFFLES[:1],
    }


def _contradictions(config: LSMConfig) -> tuple[tuple[object, str], ...]:
    """List what can be wrong with values that are right one by one: whether it is, and why."""
    hiddens, half_heads = [config.mlp_hidden(mixer=mixer) for mixer in (False, True)], config.num_heads // 2
    return (
        (
            config.num_tokens != 4 * config.d_state,
            "num_tokens must be 4 × d_state: a quarter each for λ, B, Re C, Im C",
        ),
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
        (config.recurrence == "official" and config.mixer != "cml", "official recurrence need the mixer cml"),
        (
            config.dictionary == "shared" and (config.mixer != "cml" or config.placement == "attention"),
            "a shared dictionary needs the mixer cml",
        ),
        (not config.depths or min(config.depths) < 1, "depths must list one number of blocks, at least 1, a group"),
        (len(config.rgb_mean) != config.in_chans, "rgb_mean must hold one value a channel"),
        (
            len(config.split_size) != 2
            or not all(1 <= side <= LARGEST_WINDOW for side in config.split_size)
            or math.prod(config.split_size) > MOST_WINDOW_TOKENS,
            f"split_size must be two numbers from 1 to {LARGEST_WINDOW}, of a product of at most {MOST_WINDOW_TOKENS}",
        ),
        (config.img_range <= 0, "img_range must be positive"),
        (not 0 <= config.r_min < config.r_max < 1, "0 ≤ r_min < r_max < 1 must hold"),
        (config.temperature <= 0, "temperature must be positive"),
        (config.reset and config.scan_order != "category", "reset needs the category order"),
        (
            config.recurrence == "official" and any(getattr(config, k) != v for k, v in _PAPER.items()),
            "official recurrence have the paper's transition, input_norm, modulation and scan_order",
        ),
        (not 0 <= config.drop_path_rate < 1, "drop_path_rate must lie in [0, 1)"),
        (
            min(config.embed_dim, config.d_state, config.in_chans, config.pos_dim) < 1,
            "embed_dim, d_state, in_chans and pos_dim must be positive",
        ),
    )
