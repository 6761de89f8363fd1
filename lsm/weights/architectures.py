"""The classes of networks that files of weights can hold: an explicit list, by the name that a file's header states."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lsm.arch.base import CONFIG_KEY, Network, decode_config, encode_config
from lsm.arch.config import LSMConfig, with_recurrence
from lsm.arch.convolutional import ConvolutionalLSM
from lsm.arch.convolutional_config import ConvolutionalConfig
from lsm.arch.network import LSM
from lsm.errors import CheckpointError, OptionError, unknown_name
from lsm.weights.detect import detect_config
from lsm.weights.keys import from_official, is_official


@dataclass(frozen=True)
class Architecture:
    """How a class of networks is told from its weights, and built.

    Attributes:
        name: What a file's header states as `architecture`.
        network: The class; `network(config)` builds one with random weights.
        detect: Whether a state dict that comes without a header is one of these.
        configure: From a state dict, the configuration as JSON (none if the state dict carries it) and the recurrence
            wanted (none for its own) to the configuration.
        adapt: From a state dict and the configuration to what `load_state_dict` takes.
    """

    name: str
    network: type[Network]
    detect: Callable[[Mapping[str, Tensor]], bool]
    configure: Callable[[Mapping[str, Tensor], str | None, str | None], Any]
    adapt: Callable[[Mapping[str, Tensor], Any], dict[str, Tensor]]


def _configure_lsm(state: Mapping[str, Tensor], header: str | None, recurrence: str | None) -> LSMConfig:
    config = detect_config(state, header)
    return config if recurrence is None else with_recurrence(config, recurrence)


def _adapt_lsm(state: Mapping[str, Tensor], config: LSMConfig) -> dict[str, Tensor]:
    weights = from_official(state) if is_official(state) else dict(state)
    return weights | {CONFIG_KEY: encode_config(config)}


def _configure_convolutional(
    state: Mapping[str, Tensor], header: str | None, recurrence: str | None
) -> ConvolutionalConfig:
    """Read the configuration that the state dict or the header carries; the shapes are checked when it is loaded."""
    try:
        carried = decode_config(state[CONFIG_KEY]) if CONFIG_KEY in state else json.loads(header or "")
        config = ConvolutionalConfig.from_dict(carried)
        if recurrence is not None:
            config = dataclasses.replace(config, recurrence=config.recurrence.with_mode(recurrence))
    except json.JSONDecodeError as error:
        raise CheckpointError("The weights carry no configuration, neither among them nor in a header.") from error
    except (OptionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"Not a checkpoint of fast: {error}") from error
    return config


def _adapt_convolutional(state: Mapping[str, Tensor], config: ConvolutionalConfig) -> dict[str, Tensor]:
    return {**state, CONFIG_KEY: encode_config(config)}


_CONVOLUTIONAL = Architecture(
    "ConvolutionalLSM",
    ConvolutionalLSM,
    lambda state: "body.0.conv1.weight" in state,
    _configure_convolutional,
    _adapt_convolutional,
)
ARCHITECTURES = (
    _CONVOLUTIONAL,
    Architecture("LSM", LSM, lambda state: True, _configure_lsm, _adapt_lsm),
)
"""In the order in which they are tried; the last takes what no other one does, and says what is wrong with it."""


def find_architecture(state: Mapping[str, Tensor], name: str | None = None) -> Architecture:
    """Return the architecture of a state dict.

    Args:
        state: The state dict.
        name: What the file's header states; none if it states nothing.

    Raises:
        CheckpointError: If there is no architecture of that name.
    """
    if name is None:
        return next(each for each in ARCHITECTURES if each.detect(state))
    for each in ARCHITECTURES:
        if each.name == name:
            return each
    raise CheckpointError(unknown_name("architecture", name, [each.name for each in ARCHITECTURES]))


def architecture_of(model: Network) -> Architecture:
    """Return the architecture of a network."""
    return next(each for each in ARCHITECTURES if isinstance(model, each.network))
