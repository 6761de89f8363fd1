"""What is registered with BasicSR, by BasicSR itself or by a plug-in: whether a section of a config fits it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from lsm.errors import OptionError, truncate_repr, unknown_name
from lsm.training import compat
from lsm.training.foreign import find_multiple

SCALES = ("upscale", "scale")
"""What networks call their scale."""


def find(registry: Any, name: Any) -> Any:
    """Return what is registered under a name, or None; BasicSR's own may be found without their ending `_basicsr`."""
    key = next((key for key in (name, f"{name}_basicsr") if key in registry), None)
    return None if key is None else registry.get(key)


def by_plugin(registry: Any, name: Any) -> bool:
    """Return whether a name is registered, neither by BasicSR nor by this package."""
    found = find(registry, name)
    return found is not None and not found.__module__.startswith(("basicsr.", "lsm."))


def argument_complaints(kind: str, build: Callable[..., Any], settings: Mapping[str, Any]) -> list[str]:
    """Compare the keys of a section with the arguments of what it is for.

    Args:
        kind: What the section is for, e.g. "EDSR".
        build: A class or function.
        settings: The section, without `type`.

    Returns:
        What is wrong, a line for each key.
    """
    parameters = inspect.signature(build).parameters.values()
    named = {each.name: each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    lines = [unknown_name(f"key of {kind}", key, named) for key in settings if key not in named and not takes_all]
    needed = [name for name, each in named.items() if each.default is each.empty and name not in settings]
    return lines + [f"{kind} needs the key {name}" for name in needed]


def network_complaints(path: str, network: dict[str, Any], scale: int, patch: int | None) -> list[str]:
    """Check a network of BasicSR's or of a plug-in's by building it and letting sizes through it.

    Args:
        path: Of the section, for the lines.
        network: The section; its scale is filled in where the network asks for one.
        scale: That of the config.
        patch: Side of a low-resolution patch of a training.

    Returns:
        What is wrong, a line each.
    """
    name = str(network.get("type"))
    if (build := find(compat.ARCH_REGISTRY, name)) is None:
        return [
            f"{path}.type: {truncate_repr(name)} is no network of this package or of BasicSR's; name the module that "
            "registers it in plugins, or write type: LSM and a variant"
        ]
    key = next((each for each in SCALES if each in inspect.signature(build).parameters), None)
    if key is not None and network.setdefault(key, scale) != scale:
        return [f"{path}.{key}: {truncate_repr(network[key])} is not the file's scale, {scale}"]
    settings = {key: value for key, value in network.items() if key != "type"}
    if lines := [f"{path}: {line}" for line in argument_complaints(name, build, settings)]:
        return lines
    try:
        multiple = find_multiple(lambda: build(**settings), name, scale)
    except OptionError as error:
        return [f"{path}: {error}"]
    if patch is not None and patch % multiple:
        return [
            f"datasets.train.gt_size: {patch * scale} gives LR patches of {patch}, and {name} takes multiples of "
            f"{multiple}"
        ]
    return []


def discriminator_complaints(network: dict[str, Any], gt_size: int) -> list[str]:
    """Check the network that tells true images from others.

    Args:
        network: The section `network_d`.
        gt_size: Side of the patches.

    Returns:
        What is wrong, a line each.
    """
    name = str(network.get("type"))
    if (build := find(compat.ARCH_REGISTRY, name)) is None:
        return [f"network_d.type: {truncate_repr(name)} is no network of BasicSR's; name its module in plugins"]
    settings = {key: value for key, value in network.items() if key != "type"}
    if lines := [f"network_d: {line}" for line in argument_complaints(name, build, settings)]:
        return lines
    try:
        built = build(**settings).eval().to("meta")
        built(torch.empty(1, 3, gt_size, gt_size, device="meta"))
    except Exception as error:  # networks of others raise errors of any kind
        return [f"network_d: {name} takes no patches of {gt_size}: {truncate_repr(str(error))}"]
    return []
