"""Data sets that a plug-in registers: what a config says of them, and whether their samples can be trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ConfigDict, PositiveInt
from torch import Tensor

from lsm.errors import InputError, LSMError, OptionError, one_line
from lsm.training.image_schema import LoaderKeys, Name
from lsm.training.section import Section


class OwnDatasetConfig(Section):
    """Images of a registered data set to validate or test on; the keys that are not listed are its own."""

    model_config = ConfigDict(extra="allow")

    name: Name | None = None
    """What the log and the folders call it."""
    type: str
    """Its name in the registry."""


class OwnTrainDatasetConfig(LoaderKeys, OwnDatasetConfig):
    """Images of a registered data set to train on."""

    model_config = ConfigDict(extra="allow")

    gt_size: PositiveInt | None = None
    """Side of the patches, if the data set has such a key."""


def check_sample(dataset: Any, settings: Mapping[str, Any]) -> None:
    """Look at the first sample of a data set before anything relies on it.

    Args:
        dataset: Items are dictionaries with `lq` (3, h, w) and, for a training, `gt` (3, rh, rw), in [0, 1]; for a
            validation with `lq_path`, whose name the result gets.
        settings: The section, completed: `type`, `phase`, `scale`.

    Raises:
        OptionError: If the samples are something else, or there are none.
    """
    kind, scale = settings["type"], settings["scale"]
    try:
        if len(dataset) == 0:
            raise OptionError(f"{kind} has no images.")
        sample = dataset[0]
    except LSMError:
        raise
    except Exception as error:  # data sets of others raise errors of any kind
        raise InputError(f"{kind} fails at its first sample: {type(error).__name__}: {one_line(error)}.") from error
    needed = {"lq", "gt"} if settings["phase"] == "train" else {"lq", "lq_path"}
    if not isinstance(sample, Mapping) or not needed <= sample.keys():
        raise OptionError(f"Samples of {kind} must be dictionaries with {' and '.join(sorted(needed))}.")
    for key, factor in (("lq", 1), ("gt", scale)):
        if key not in sample:
            continue
        image = sample[key]
        if not isinstance(image, Tensor) or image.ndim != 3 or len(image) != 3 or image.dtype != torch.float32:
            raise OptionError(f"{key} in the samples of {kind} must be a float32 tensor (3, height, width).")
        wanted = tuple(side * factor for side in sample["lq"].shape[1:])
        if image.shape[1:] != wanted:
            raise OptionError(
                f"{key} in the samples of {kind} is {tuple(image.shape[1:])}, where scale {scale} needs {wanted}."
            )
