"""Read a config, check it whole, and complete it to the dictionary that BasicSR's classes work on.

Nothing is built, created or downloaded here; every mistake is reported at once, one line each, by its key.
"""

from __future__ import annotations

import math
import re
import typing
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lsm.arch import preset_config
from lsm.errors import LSMError, OptionError, one_line, truncate_repr, unknown_name
from lsm.training import official_network
from lsm.training.image_schema import TASKS, DatasetConfig, TrainDatasetConfig
from lsm.training.schema import TestConfig, TrainConfig

MOST_CHARACTERS, MOST_VALUES = 100_000, 20_000
"""Of a config; BasicSR's have a few thousand characters."""
MOST_LINES, MOST_IN_A_LINE = 50, 10
"""Of the report of its mistakes."""


class _Loader(yaml.SafeLoader):
    """YAML without code, with `2e-4` as a number (PyYAML wants `2.0e-4`) and repeated keys refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        key, count = keys.most_common(1)[0] if keys else ("", 0)
        if count > 1:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML text.

    Raises:
        OptionError: If it is not valid YAML, where the line is named; or if it is larger than any config, written
            out or by aliases of aliases.
    """
    if len(text) > MOST_CHARACTERS:
        raise OptionError(f"{source}: more than {MOST_CHARACTERS:,} characters, which no config has.")
    loader = None
    try:
        loader = _Loader(text)  # a SafeLoader
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MOST_VALUES:
            raise OptionError(f"{source}: its aliases write out to more than {MOST_VALUES:,} values.")
        return loader.construct_document(node)
    except RecursionError as error:
        raise OptionError(f"{source}: nested too deeply, or within itself.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that cannot be
        raise OptionError(f"{source}: not valid YAML: {one_line(error, 500)}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values that a node stands for once its aliases are written out; infinite within itself."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def force(options: dict[str, Any], entries: Iterable[str]) -> None:
    """Apply entries such as `train:optim_g:lr=1e-4`; the values are YAML, never code.

    Args:
        options: The config's content, changed in place; missing sections are made, and checked later on.
        entries: The entries.

    Raises:
        OptionError: If an entry has no `=`, or goes through a value that is no section.
    """
    for entry in entries:
        keys, equals, text = entry.partition("=")
        if not equals or not keys.strip():
            raise OptionError(f"The entry {entry!r} of `force_yml` must be key:subkey=value.")
        *sections, last = [key.strip() for key in keys.split(":")]
        target: Any = options
        for section in sections:
            if target.get(section) is None:
                target[section] = {}
            target = target[section]
            if not isinstance(target, dict):
                raise OptionError(f"The entry {entry!r} of `force_yml`: {section} is a value, not a section.")
        target[last] = parse_yaml(text, f"The entry {entry!r} of `force_yml`")


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """List the sections that a type annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in typing.get_args(annotation) for section in _sections(part)]


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    """Return the keys of the section that pydantic's location of an error leads to."""
    here = [model]
    for part in location:
        fields = [each.model_fields[part] for each in here if part in each.model_fields]
        if fields:
            here = [section for field in fields for section in _sections(field.annotation)]
        else:  # the key of a free mapping, or in a union of sections the variant's `type`
            types = [typing.get_args(getattr(each.model_fields.get("type"), "annotation", None)) for each in here]
            here = [each for each, names in zip(here, types, strict=True) if part in names] or here
    return {name for each in here for key, field in each.model_fields.items() for name in (key, field.alias) if name}


def _complaint(item: Any, data: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Split one of pydantic's errors into the key's path and what is wrong there."""
    path, here, location, kind = [], data, item["loc"], item["type"]
    for index, part in enumerate(location):
        in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        inside = in_list or (isinstance(here, dict) and part in here)
        if inside:
            here = here[part]
        if inside or (kind == "missing" and index == len(location) - 1):  # else the name of a union's variant
            path.append(str(part))
    if kind == "extra_forbidden":
        return ".".join(path[:-1]), unknown_name("key", path[-1], _known_keys(model, location[:-1]))
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']+)'", item["ctx"]["expected_tags"])
        return ".".join([*path, "type"]), unknown_name("value", item["ctx"]["tag"], known)
    if kind == "union_tag_not_found":
        return ".".join([*path, "type"]), "Field required"
    known = re.findall(r"'([^']+)'", item["ctx"]["expected"]) if kind == "literal_error" else []
    if known:
        return ".".join(path), unknown_name("value", str(item["input"]), known)
    got = truncate_repr(item["input"]) if isinstance(item["input"], str | int | float) else ""
    return ".".join(path), item["msg"][:300] + (f" (got {got})" if got and got.strip("'") not in item["msg"] else "")


def _check(model: type[BaseModel], data: Any, prefix: str = "") -> tuple[Any, list[str]]:
    """Check a section; returns it, or None, and a line for each key with something wrong."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        complaints: dict[str, list[str]] = {}
        for item in error.errors():
            path, text = _complaint(item, data, model)
            complaints.setdefault(".".join(filter(None, [prefix, path])), []).append(text)
    lines = [(path, "; ".join(_first(texts, MOST_IN_A_LINE))) for path, texts in complaints.items()]
    return None, [f"{path}: {text}" if path else text for path, text in lines]


def _first(texts: list[str], most: int) -> list[str]:
    """Cut a list of mistakes, and say how many are left out."""
    return texts if len(texts) <= most else [*texts[:most], f"and {len(texts) - most} more mistakes"]


def _network_complaints(network: dict[str, Any], scale: Any) -> list[str]:
    """Check `network_g`: what it takes to build an LSM, at the scale of the file."""
    if network.get("type") != "LSM":
        return [f"network_g.type: {unknown_name('network', str(network.get('type')), ['LSM'])}"]
    if network.get("upscale", scale) != scale:
        return [f"network_g.upscale: {truncate_repr(network['upscale'])} is not the file's scale, {scale}"]
    settings = {name: value for name, value in network.items() if name not in {"type", "variant", "upscale"}}
    try:
        preset_config(network.get("variant", "light"), scale, **settings)
    except LSMError as error:
        return [f"network_g: {error}"]
    return []


def _check_datasets(datasets: Any, training: bool) -> tuple[dict[str, DatasetConfig], list[str]]:
    """Check the names of the datasets, and each by its schema."""
    if not isinstance(datasets, dict) or not (datasets or training):
        return {}, ["datasets: a section of named datasets is needed"]
    allowed = r"train|val(_\d+)?" if training else r"(test|val)(_\d+)?"
    examples = ["train", "val", "val_1", "val_2"] if training else ["test", "test_1", "test_2", "val"]
    checked, lines = {}, []
    for phase, content in datasets.items():
        if not re.fullmatch(allowed, str(phase)):
            lines.append(f"datasets: {unknown_name('dataset', str(phase), examples)}")
            continue
        checked[phase], complaints = _check(
            TrainDatasetConfig if phase == "train" else DatasetConfig, content, f"datasets.{phase}"
        )
        lines += complaints
    if training and "train" not in datasets and not lines:
        lines.append("datasets.train: Field required")
    return checked, lines


def _task_complaints(scale: int, task: str, datasets: dict[str, DatasetConfig]) -> list[str]:
    """Check that the images need what the network does."""
    lines = []
    for phase, images in datasets.items():
        if TASKS.get(images.type, task) != task:
            lines.append(f"datasets.{phase}.type: {images.type} is for the task {TASKS[images.type]}, not {task}")
        if images.type == "ImagePairs" and scale == 1 and images.dataroot_lq is None:
            lines.append(f"datasets.{phase}.dataroot_lq: Field required at scale 1, where no bicubic makes it")
    return lines


def _cross_complaints(scale: int, images: TrainDatasetConfig, teacher: Any) -> list[str]:
    """Check what concerns several sections at once."""
    lines = []
    if images.type != "ImagePairs" and images.patch_importance:
        lines.append(f"datasets.train.patch_importance: {images.type} has no LR to measure before it is drawn")
    if images.type == "DegradedPairs" and teacher is not None and teacher.cache is None:
        lines.append("train.teacher.cache: Field required with DegradedPairs, whose LR would mislead the teacher")
    if images.gt_size % scale:
        lines.append(f"datasets.train.gt_size: {images.gt_size} is not a multiple of scale {scale}")
    if images.type == "SingleImageDataset":
        lines.append("datasets.train.type: SingleImageDataset has no true images to train on")
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
    if isinstance(data.get("network_g"), dict) and official_network.is_official(data["network_g"]):
        data["network_g"] = official_network.from_official(data["network_g"])
    return {key: value for key, value in data.items() if value is not None}


def read_options(path: str | Path, forced: Iterable[str] = (), training: bool = True) -> dict[str, Any]:
    """Read and check a config.

    Args:
        path: The YAML file.
        forced: Entries that change what the file says, see `force`.
        training: Whether it is for `lsm train`, else for `lsm test`.

    Returns:
        All keys with their values or defaults.

    Raises:
        OptionError: With one line for each mistake in the file.
    """
    data = _read(path, forced)
    datasets, lines = _check_datasets(data.pop("datasets", None), training)
    options, complaints = _check(TrainConfig if training else TestConfig, data)
    lines += complaints
    if isinstance(data.get("network_g"), dict) and not any(line.startswith("scale:") for line in lines):
        lines += _network_complaints(data["network_g"], data["scale"])
    if not lines:
        lines = _task_complaints(options.scale, options.network_g.get("task", "sr"), datasets)
    if training and not lines:
        lines = _cross_complaints(
            options.scale, typing.cast(TrainDatasetConfig, datasets["train"]), options.train.teacher
        )
    if lines:
        shown = _first(list(dict.fromkeys(lines)), MOST_LINES)
        raise OptionError("\n".join(f"{path}: {line}" for line in shown))
    result: dict[str, Any] = options.model_dump()
    result["network_g"].setdefault("upscale", options.scale)
    result["datasets"] = {phase: content.model_dump(exclude_none=True) for phase, content in datasets.items()}
    for settings in result["datasets"].values():
        folder = Path(settings.get("dataroot_gt") or settings["dataroot_lq"])
        settings.setdefault("name", f"{folder.parent.name}_{folder.name}")
    return result
