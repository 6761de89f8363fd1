"""Reads an option file, checks it whole, and completes it to the dictionary that BasicSR's classes work on.

Nothing is built, created or downloaded here; every mistake is reported at once, one line each, by its key.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lsm.arch import preset_config
from lsm.errors import LSMError, OptionError, unknown_name
from lsm.training.schema import ImageSet, TestOptions, TrainOptions, TrainSet


class _Loader(yaml.SafeLoader):
    """YAML without code, with `2e-4` as a number (PyYAML wants `2.0e-4`) and repeated keys refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"key {repeated.pop()!r} twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str, source: str) -> Any:
    """Parse YAML text.

    Raises:
        OptionError: If it is not valid YAML; the line is named.
    """
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise OptionError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error


def force(options: dict[str, Any], entries: Iterable[str]) -> None:
    """Apply `--force_yml` entries such as `train:optim_g:lr=1e-4`; the values are YAML, never code.

    Args:
        options: The option file's content, changed in place; missing sections are made, and checked later on.
        entries: The entries.

    Raises:
        OptionError: If an entry has no `=`, or goes through a value that is no section.
    """
    for entry in entries:
        keys, equals, text = entry.partition("=")
        if not equals or not keys.strip():
            raise OptionError(f"--force_yml {entry!r}: write it as key:subkey=value.")
        *sections, last = [key.strip() for key in keys.split(":")]
        target: Any = options
        for section in sections:
            if target.get(section) is None:
                target[section] = {}
            target = target[section]
            if not isinstance(target, dict):
                raise OptionError(f"--force_yml {entry!r}: {section} is a value, not a section.")
        target[last] = parse_yaml(text, f"--force_yml {entry!r}")


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
        inside = isinstance(here, list) or (isinstance(here, dict) and part in here)
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
    shown = (
        f" (got {item['input']!r})"
        if isinstance(item["input"], str | int | float) and not item["msg"].endswith(str(item["input"]))
        else ""
    )
    return ".".join(path), item["msg"] + shown


def _check(model: type[BaseModel], data: Any, prefix: str = "") -> tuple[Any, list[str]]:
    """Check a section; returns it, or None, and a line for each key with something wrong."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        complaints: dict[str, list[str]] = {}
        for item in error.errors():
            path, text = _complaint(item, data, model)
            complaints.setdefault(".".join(filter(None, [prefix, path])), []).append(text)
    return None, [f"{path}: {'; '.join(texts)}" if path else "; ".join(texts) for path, texts in complaints.items()]


def _network_complaints(network: Any, scale: Any) -> list[str]:
    """Check `network_g`: what it takes to build an LSM, at the scale of the file."""
    if not isinstance(network, dict):
        return ["network_g: a section is needed, e.g. {type: LSM, variant: light, upscale: 4}"]
    if network.get("type") != "LSM":
        return [f"network_g.type: {unknown_name('network', str(network.get('type')), ['LSM'])}"]
    if network.get("upscale", scale) != scale:
        return [f"network_g.upscale: {network['upscale']} is not the file's scale, {scale}"]
    settings = {name: value for name, value in network.items() if name not in {"type", "variant", "upscale"}}
    try:
        preset_config(network.get("variant", "light"), scale, **settings)
    except LSMError as error:
        return [f"network_g: {error}"]
    return []


def _dataset_complaints(datasets: Any, training: bool) -> list[str]:
    """Check the names of the datasets, and the training one by its own schema."""
    if not isinstance(datasets, dict):
        return ["datasets: a section is needed"]
    allowed = r"train|val(_\d+)?" if training else r"(test|val)(_\d+)?"
    known = ["train", "val", "val_1", "val_2"] if training else ["test", "test_1", "test_2", "val"]
    lines = [
        f"datasets: {unknown_name('dataset', str(phase), known)}"
        for phase in datasets
        if not re.fullmatch(allowed, str(phase))
    ]
    if training and "train" not in datasets:
        lines.append("datasets.train: Field required")
    return lines


def read_options(path: str | Path, forced: Iterable[str] = (), training: bool = True) -> dict[str, Any]:
    """Read and check an option file.

    Args:
        path: The YAML file.
        forced: `--force_yml` entries.
        training: Whether it is for `lsm train`, else for `lsm test`.

    Returns:
        All keys with their values or defaults.

    Raises:
        OptionError: With one line for each mistake in the file.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise OptionError(f"Cannot read the option file {path}: {error.strerror}.") from error
    data = parse_yaml(text, str(path))
    if not isinstance(data, dict):
        raise OptionError(f"{path}: an option file is a mapping of keys to values.")
    force(data, forced)
    data = {key: value for key, value in data.items() if value is not None}
    if isinstance(data.get("datasets"), dict):
        data["datasets"] = {phase: content for phase, content in data["datasets"].items() if content is not None}
    lines = _dataset_complaints(data.get("datasets"), training)
    datasets: dict[str, Any] = {}
    if isinstance(data.get("datasets"), dict):
        for phase, content in data["datasets"].items():
            kind = TrainSet if phase == "train" else ImageSet
            checked, complaints = _check(kind, content, f"datasets.{phase}")
            datasets[phase] = checked
            lines += complaints
    rest = {key: value for key, value in data.items() if key != "datasets"} | {"datasets": {}}
    options, complaints = _check(TrainOptions if training else TestOptions, rest)
    lines += complaints + _network_complaints(data.get("network_g"), data.get("scale"))
    if options is not None and not lines:
        lines = _cross_complaints(options, datasets, training)
    if options is None or lines:
        raise OptionError("\n".join(f"{path}: {line}" for line in dict.fromkeys(lines)))
    result = options.model_dump()
    result["datasets"] = {phase: content.model_dump(exclude_none=True) for phase, content in datasets.items()}
    for settings in result["datasets"].values():
        folder = Path(settings.get("dataroot_gt") or settings["dataroot_lq"])
        settings.setdefault("name", f"{folder.parent.name}_{folder.name}")
    return result


def _cross_complaints(options: Any, datasets: dict[str, Any], training: bool) -> list[str]:
    """Check what concerns several sections at once."""
    from lsm.training.metrics import known_metrics

    lines = [
        f"val.metrics.{name}.type: {unknown_name('metric', metric.type, known_metrics())}"
        for name, metric in options.val.metrics.items()
        if metric.type not in known_metrics()
    ]
    if training and datasets["train"].gt_size % options.scale:
        lines.append(f"datasets.train.gt_size: {datasets['train'].gt_size} is not a multiple of scale {options.scale}")
    if training and datasets["train"].type == "SingleImageDataset":
        lines.append("datasets.train.type: SingleImageDataset has no true images to train on")
    return lines
