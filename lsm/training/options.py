"""Read a config, check it whole, and complete it to the dictionary that BasicSR's classes work on.

Nothing is built, created or downloaded here; every mistake is reported at once, one line each, by its key.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lsm.arch import preset_config
from lsm.errors import LSMError, OptionError, truncate_repr, unknown_name
from lsm.plugins import load_plugins
from lsm.training.complaints import MOST_LINES, check_section, first
from lsm.training.config_text import MOST_CHARACTERS, force, parse_yaml
from lsm.training.dialect import translate
from lsm.training.image_schema import TASKS, DatasetConfig, TrainDatasetConfig, folders
from lsm.training.own_data import OwnDatasetConfig, OwnTrainDatasetConfig
from lsm.training.schema import TestConfig, TrainConfig
from lsm.training.section import Section


def _network_complaints(network: dict[str, Any], scale: Any, patch: int | None) -> list[str]:
    """Check `network_g`: what it takes to build it, at the scale of the file, for LR patches of a training."""
    if network.get("type") != "LSM":
        from lsm.training.registered import network_complaints  # only such a network needs BasicSR to be checked

        return network_complaints("network_g", network, scale, patch)
    if network.get("upscale", scale) != scale:
        return [f"network_g.upscale: {truncate_repr(network['upscale'])} is not the file's scale, {scale}"]
    settings = {name: value for name, value in network.items() if name not in {"type", "variant", "upscale"}}
    try:
        preset_config(network.get("variant", "light"), scale, **settings)
    except LSMError as error:
        return [f"network_g: {error}"]
    return []


def _dataset_section(content: Any, training: bool) -> type[Section]:
    """Choose the section that a dataset is checked by: an open one for what a plug-in registers."""
    name = content.get("type") if isinstance(content, dict) else None
    if isinstance(name, str) and name not in typing.get_args(DatasetConfig.model_fields["type"].annotation):
        from lsm.training.compat import DATASET_REGISTRY
        from lsm.training.registered import by_plugin

        if by_plugin(DATASET_REGISTRY, name):
            return OwnTrainDatasetConfig if training else OwnDatasetConfig
    return TrainDatasetConfig if training else DatasetConfig


def _check_datasets(datasets: Any, training: bool) -> tuple[dict[str, Any], list[str]]:
    """Check the names of the datasets, and each by its schema."""
    if not isinstance(datasets, dict) or not (datasets or training):
        return {}, ["datasets: a section of named datasets is needed"]
    allowed = r"train|val(_\d+)?" if training else r"(test|val)(_\d+)?"
    examples = ["train", "val", "val_1", "val_2"] if training else ["test", "test_1", "test_2", "val"]
    checked: dict[str, Any] = {}
    lines: list[str] = []
    for phase, content in datasets.items():
        if not re.fullmatch(allowed, str(phase)):
            lines.append(f"datasets: {unknown_name('dataset', str(phase), examples)}")
            continue
        checked[phase], complaints = check_section(
            _dataset_section(content, phase == "train"), content, f"datasets.{phase}"
        )
        lines += complaints
    if training and "train" not in datasets and not lines:
        lines.append("datasets.train: Field required")
    return checked, lines


def _task_complaints(scale: int, task: str, datasets: dict[str, Any]) -> list[str]:
    """Check that the images need what the network does."""
    lines = []
    for phase, images in datasets.items():
        if not isinstance(images, DatasetConfig):
            continue
        if TASKS.get(images.type, task) != task:
            lines.append(f"datasets.{phase}.type: {images.type} is for the task {TASKS[images.type]}, not {task}")
        if images.type == "ImagePairs" and scale == 1 and images.dataroot_lq is None:
            lines.append(f"datasets.{phase}.dataroot_lq: Field required at scale 1, where no bicubic makes it")
    return lines


def _cross_complaints(options: TrainConfig, images: Any) -> list[str]:
    """Check what concerns several sections at once."""
    lines, scale, teacher = [], options.scale, options.train.teacher
    if options.network_g["type"] != "LSM" and options.train.checkpointing:
        lines.append(f"train.checkpointing: {options.network_g['type']} cannot do it; LSM can")
    if images.gt_size is not None and images.gt_size % scale:
        lines.append(f"datasets.train.gt_size: {images.gt_size} is not a multiple of scale {scale}")
    elif options.network_d is not None and images.gt_size is not None:
        from lsm.training.registered import discriminator_complaints

        lines += discriminator_complaints(options.network_d, images.gt_size)
    if not isinstance(images, TrainDatasetConfig):
        if teacher is not None and teacher.cache is not None:
            lines.append(f"train.teacher.cache: {images.type} is not known here; leave it out")
        return lines
    if images.type != "ImagePairs" and images.patch_importance:
        lines.append(f"datasets.train.patch_importance: {images.type} has no LR to measure before it is drawn")
    if images.type == "DegradedPairs" and teacher is not None and teacher.cache is None:
        lines.append("train.teacher.cache: Field required with DegradedPairs, whose LR would mislead the teacher")
    if images.type == "SingleImages":
        lines.append("datasets.train.type: SingleImages has no true images to train on")
    return lines


def _read(path: str | Path, forced: Iterable[str]) -> dict[str, Any]:
    """Read the file and apply the entries; what is null counts as not given."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            data = parse_yaml(file.read(MOST_CHARACTERS + 1), str(path))
    except OSError as error:
        raise OptionError(f"Cannot read the config {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"Cannot read the config {path}: it is not UTF-8 text.") from error
    if not isinstance(data, dict):
        raise OptionError(f"{path}: a config is a mapping of keys to values.")
    force(data, forced)
    if isinstance(data.get("datasets"), dict):
        data["datasets"] = {phase: content for phase, content in data["datasets"].items() if content is not None}
    return {key: value for key, value in data.items() if value is not None}


def _import_plugins(path: str | Path, data: dict[str, Any], more: Sequence[str]) -> None:
    """Import the modules that a config names, and others; all of them are in the config after."""
    names = data.get("plugins", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return  # which the checks tell
    names = data["plugins"] = list(dict.fromkeys([*names, *more]))
    if names:
        import lsm.training.compat  # noqa: F401  (mends what a plug-in's own import of basicsr needs)

        try:
            load_plugins(names)
        except OptionError as error:
            raise OptionError(f"{path}: plugins: {error}") from error


def _dataset_name(settings: dict[str, Any]) -> str:
    """Return a name for a dataset that has none: that of its folder, or of its kind."""
    root = settings.get("dataroot_gt") or settings.get("dataroot_lq")
    if not isinstance(root, str | list):
        return str(settings["type"])
    folder = Path(folders(root)[0])
    return f"{folder.parent.name}_{folder.name}"


def read_options(
    path: str | Path,
    forced: Iterable[str] = (),
    training: bool = True,
    note: Callable[[str], None] | None = None,
    plugins: Sequence[str] = (),
) -> dict[str, Any]:
    """Read and check a config.

    Args:
        path: The YAML file.
        forced: Entries that change what the file says, see `force`.
        training: Whether it is for `lsm train`, else for `lsm test`.
        note: Called with a line for each thing of another project's config that was taken for one of ours.
        plugins: Modules to import before, beside those that the file names, see `lsm.plugins`.

    Returns:
        All keys with their values or defaults.

    Raises:
        OptionError: With one line for each mistake in the file.
    """
    data = _read(path, forced)
    translation = translate(data, training)
    if translation.stops:
        raise OptionError("\n".join(f"{path}: {line}" for line in translation.refusals))
    _import_plugins(path, data, plugins)
    datasets, lines = _check_datasets(data.pop("datasets", None), training)
    lines = translation.refusals + lines
    options, complaints = check_section(TrainConfig if training else TestConfig, data)
    lines += complaints
    network: Any = data.get("network_g")
    images = datasets.get("train")
    if isinstance(network, dict) and not any(line.startswith("scale:") for line in lines):
        patch = images.gt_size // data["scale"] if images is not None and images.gt_size else None
        lines += _network_complaints(network, data["scale"], patch)
    if not lines and network["type"] == "LSM":
        lines = _task_complaints(options.scale, options.network_g.get("task", "sr"), datasets)
    if training and not lines:
        lines = _cross_complaints(options, images)
    if lines:
        shown = first(list(dict.fromkeys(lines)), MOST_LINES)
        raise OptionError("\n".join(f"{path}: {line}" for line in shown))
    result: dict[str, Any] = options.model_dump()
    result["network_g"] = network
    if network["type"] == "LSM":
        network.setdefault("upscale", options.scale)
    result["datasets"] = {phase: content.model_dump(exclude_none=True) for phase, content in datasets.items()}
    for settings in result["datasets"].values():
        settings.setdefault("name", _dataset_name(settings))
    if note is not None:
        for line in [*translation.notes, *(f"plugins: {name} is imported" for name in options.plugins)]:
            note(line)
    return result
