"""Networks of equal size: the MLP beside a mixer makes up for the parameters that the mixer has or lacks."""

from __future__ import annotations

import dataclasses

import torch

from lsm.arch.config import LSMConfig
from lsm.arch.network import LSM
from lsm.errors import OptionError


def count_parameters(config: LSMConfig) -> int:
    """Count the learned numbers of a network, without memory for them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in LSM(config).parameters())


def match_parameters(config: LSMConfig, parameters: int) -> LSMConfig:
    """Choose `mixer_mlp_ratio` so that a network has as nearly as possible a number of parameters.

    The width of the MLP goes in steps of 2, about 3·C numbers a block with the mixer each.

    Args:
        config: The network; its `mixer_mlp_ratio` is replaced.
        parameters: Wanted.

    Raises:
        OptionError: If the network has more even with the narrowest MLP.
    """

    def with_hidden(hidden: int) -> LSMConfig:
        return dataclasses.replace(config, mixer_mlp_ratio=round(hidden / config.embed_dim, 6))

    narrowest, next_wider = (count_parameters(with_hidden(hidden)) for hidden in (2, 4))
    if narrowest > parameters:
        raise OptionError(
            f"With the mixer {config.mixer} the network has {narrowest:,} parameters even with the narrowest MLP, but "
            f"{parameters:,} are wanted. Give mixer_options that make it smaller."
        )
    # The count is linear in the width.
    return with_hidden(2 + 2 * round((parameters - narrowest) / (next_wider - narrowest)))
