"""What a name means: the only place where names of weights are resolved. PyTorch is not needed here.

A name is one of these, looked up in this order:

- `hf:OWNER/NAME[@REVISION][/FILE]`: a file on the hub; without FILE the `model.safetensors` of the repository;
- `official/light-x4`: a published checkpoint, see `lsm.weights.hub.OFFICIAL`;
- `tiny-x4`, `tiny-denoise`: weights that come with the package. The names of the files in the folder `embedded` are the
  list: VARIANT-xSCALE, VARIANT-TASK, or a TASK alone;
- `tiny`: a variant of these, completed by the scale or the task that is wanted;
- `auto`, or no name at all: the best of the embedded weights for clean images, and beside them those for compressed or
  noisy ones, where there are any of that scale; each image then decides;
- a path;
- `light`, `light-x4`, `light-jpeg`: a preset that comes without weights.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lsm.errors import CheckpointError, OptionError, unknown_name

AUTO = "auto"
DEFAULTS = ("fast", "tiny")
"""Variants where none is named: the first one that is embedded at the scale."""

PHOTO = "photo"
"""The variant for images that are compressed or noisy."""

DEFAULT_SCALE = 4
RESTORING_TASKS = ("denoise", "jpeg")
"""Tasks of networks at scale 1; a variant's name is followed by one of them or by its scale."""

FOLDER = Path(__file__).parent / "embedded"
SUFFIX = ".safetensors"

_SCALED = re.compile(r"(?P<variant>[^/\\]+)-x(?P<scale>\d+)")
_TASKED = re.compile(rf"(?:(?P<variant>[^/\\]+)-)?(?P<task>{'|'.join(RESTORING_TASKS)})")

Kind = Literal["embedded", "official", "hub", "file", "preset"]


@dataclass(frozen=True)
class ModelName:
    """A variant with what completes it.

    Attributes:
        variant: E.g. "tiny".
        scale: r; 1 for the tasks of restoration.
        task: "sr", or one of `RESTORING_TASKS`.
    """

    variant: str
    scale: int
    task: str = "sr"

    @classmethod
    def parse(cls, name: str) -> ModelName | None:
        """Read "tiny-x4", "tiny-denoise" or "jpeg"; none for any other text."""
        if match := _SCALED.fullmatch(name):
            return cls(match["variant"], int(match["scale"]))
        if match := _TASKED.fullmatch(name):
            return cls(match["variant"] or match["task"], 1, match["task"])
        return None


@dataclass(frozen=True)
class Source:
    """Where a network comes from.

    Attributes:
        kind: "embedded", "official", "hub" or "file"; or "preset": it would have to be trained first.
        name: The name, completed; the path of a file as it was given.
        model: What the name says of the network, where it says so.
        photo: Name of the embedded weights for compressed or noisy images, where each image shall decide between them
            and `name`.
    """

    kind: Kind
    name: str
    model: ModelName | None = None
    photo: str | None = None

    @property
    def label(self) -> str:
        """The name, or both names between which each image decides."""
        return f"auto ({self.name}, {self.photo})" if self.photo else self.name

    def fetch(self) -> Path:
        """Return the file of weights; what lies on a hub is downloaded once, into huggingface-hub's cache.

        Raises:
            CheckpointError: If there are no weights of that name, or the hub does not give the file.
            OptionError: If huggingface-hub is needed and not installed.
        """
        if self.kind == "embedded":
            return embedded_path(self.name)
        if self.kind == "file":
            return Path(self.name)
        if self.kind == "preset":
            assert self.model is not None
            raise CheckpointError(_without_weights(self.model))
        from lsm.weights.hub import OFFICIAL, HubFile, fetch

        return fetch(OFFICIAL[self.name] if self.kind == "official" else HubFile.parse(self.name))


def list_models(task: str | None = None) -> list[str]:
    """Return the names of the weights for images that come with the package, by variant and scale.

    Args:
        task: "sr" for those that upscale, "denoise" or "jpeg"; all by default.
    """
    return [name for name, model in _embedded().items() if task in (None, model.task)]


def embedded_path(name: str) -> Path:
    """Return the file of embedded weights.

    Args:
        name: One of `list_models()`.
    """
    return FOLDER / f"{name}{SUFFIX}"


def embedded_scales(variant: str) -> tuple[int, ...]:
    """Return the scales of a variant's embedded weights, from small to large; empty if there are none."""
    return tuple(model.scale for model in _embedded().values() if (model.variant, model.task) == (variant, "sr"))


def resolve(name: str | Path | None, scale: float | None = None, task: str = "sr") -> Source:
    """Find out what a name means.

    Args:
        name: As above; none for the default variant.
        scale: The scale wanted, for a variant: of its embedded weights those of the smallest scale that reaches it are
            taken, so that images are rather shrunk afterwards than blown up. ×4 by default.
        task: The task wanted, for a variant: "sr", or one of `RESTORING_TASKS`.

    Returns:
        Where the network comes from; a file may be missing.

    Raises:
        CheckpointError: If the name is unknown.
        OptionError: If the task is unknown, or no name is given and no weights for the task are embedded.
    """
    if task not in ("sr", *RESTORING_TASKS):
        raise OptionError(unknown_name("task", task, ("sr", *RESTORING_TASKS)))
    if isinstance(name, Path):
        return Source("file", str(name))
    if name is None or (name == AUTO and not Path(name).exists()):
        return _default(scale, task)
    if name.startswith("hf:"):
        return Source("hub", name)
    if name.startswith("official/") and not Path(name).exists():
        return _official(name, scale)
    if name in _embedded():
        return Source("embedded", name, _embedded()[name])
    if not Path(name).is_file() and (found := _embedded_variant(name, scale, task)):
        return found
    if Path(name).suffix or "/" in name or "\\" in name or Path(name).exists():
        return Source("file", name)
    return _preset(name, scale, task)


@functools.cache
def _embedded() -> dict[str, ModelName]:
    """Read the names in the folder; those of other shapes, as the denoisers of audio have, are not for images."""
    models = {path.stem: ModelName.parse(path.stem) for path in FOLDER.glob(f"*{SUFFIX}")}
    known = [(model.variant, model.task != "sr", model.scale, name) for name, model in models.items() if model]
    return {name: model for *_, name in sorted(known) if (model := models[name])}


def _default(scale: float | None, task: str) -> Source:
    """Choose where no name is given: of the default variants the nearest scale that reaches it, or else any."""
    found = [each for variant in DEFAULTS if (each := _embedded_variant(variant, scale, task))]
    wanted = 1 if task != "sr" else DEFAULT_SCALE if scale is None else scale
    # Stable: of equal scales the better variant stays first.
    found.sort(key=lambda each: (each.model is None or each.model.scale < wanted, abs(_scale_of(each) - wanted)))
    if found:
        photo = f"{PHOTO}-x{found[0].model.scale}" if found[0].model and task == "sr" else None
        return dataclasses.replace(found[0], photo=photo if photo in _embedded() else None)
    if names := list_models(task):
        return Source("embedded", names[0], _embedded()[names[0]])
    raise OptionError(
        f"No weights for the task {task} come with the package: train some by options/train/{DEFAULTS[0]}_{task}.yml, "
        "and name their file as `model`."
    )


def _scale_of(source: Source) -> int:
    return source.model.scale if source.model else 0


def _embedded_variant(variant: str, scale: float | None, task: str) -> Source | None:
    """Choose among a variant's embedded weights; none if it has none for the task."""
    if task != "sr":
        names = [name for name in list_models(task) if _embedded()[name].variant == variant]
        return Source("embedded", names[0], _embedded()[names[0]]) if names else None
    scales = embedded_scales(variant)
    if not scales:
        return None
    name = f"{variant}-x{_reaching(scales, scale)}"
    return Source("embedded", name, _embedded()[name])


def _reaching(scales: tuple[int, ...], wanted: float | None) -> int:
    """Return the smallest scale that reaches the one wanted, or else the largest."""
    wanted = DEFAULT_SCALE if wanted is None else wanted
    return next((scale for scale in scales if scale >= wanted), scales[-1])


def _official(name: str, scale: float | None) -> Source:
    """Find a published checkpoint; a name without its scale is completed."""
    from lsm.weights.hub import OFFICIAL

    scales = tuple(sorted(int(known.removeprefix(f"{name}-x")) for known in OFFICIAL if known.startswith(f"{name}-x")))
    full = f"{name}-x{_reaching(scales, scale)}" if scales else name
    if full not in OFFICIAL:
        raise CheckpointError(unknown_name("official checkpoint", name, OFFICIAL))
    return Source("official", full, ModelName.parse(full.removeprefix("official/")))


def _preset(name: str, scale: float | None, task: str) -> Source:
    """Take a name for that of a preset, with or without its scale or task."""
    from lsm.arch.presets import VARIANTS

    model = ModelName.parse(name)
    if model is None:
        model = ModelName(name, _reaching((2, 3, 4), scale)) if task == "sr" else ModelName(name, 1, task)
    if model.variant in VARIANTS:
        full = f"{model.variant}-x{model.scale}" if model.task == "sr" else f"{model.variant}-{model.task}"
        return Source("preset", full, model)
    from lsm.weights.hub import OFFICIAL

    variants = {known.variant for known in _embedded().values()}
    known = unknown_name("weights", name, {*_embedded(), *variants, *VARIANTS, *OFFICIAL})
    raise CheckpointError(f"{known} A file is given by its path, one on the hub as hf:OWNER/NAME/FILE.")


def _without_weights(model: ModelName) -> str:
    """Return what to do about a preset without weights."""
    from lsm.weights.hub import OFFICIAL

    what = f"×{model.scale}" if model.task == "sr" else model.task
    ending = f"x{model.scale}" if model.task == "sr" else model.task
    own = [name for name, known in _embedded().items() if known.variant == model.variant]
    others = f" (there are {', '.join(own)})" if own else ""
    recipe = f" (options/train/{model.variant}_{ending}*.yml)" if model.scale in (2, 3, 4) else ""
    ways = [f"train it{recipe} and name the file"]
    if (official := f"official/{model.variant}-{ending}") in OFFICIAL:
        ways.append(f"take the published checkpoint {official} (extra `hub`)")
    if not own:
        ways.append(f"take {', '.join(list_models('sr'))}")
    return f"No weights of {model.variant} for {what} come with the package{others}: {', or '.join(ways)}."
