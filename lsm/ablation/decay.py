"""How far a trained network remembers: the decay |a| of its states, how long they last, what a pixel depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lsm.arch import Network
from lsm.errors import InputError
from lsm.mixers.base import Size
from lsm.mixers.recurrent import ModulatedLRU, RecurrentMixer

QUANTILES = (0.05, 0.5, 0.95)
"""Of the distributions over tokens and states that are reported."""


@dataclass(frozen=True)
class BlockDecay:
    """The decay of one recurrence on one image.

    Attributes:
        block: Name of the mixer in the network.
        decay: |a| at `QUANTILES` of all tokens and states.
        length: In how many tokens a state fades to 1/e of itself, at `QUANTILES` of all tokens and states, in the order
            of the scan; counted, so at most the number of tokens that follow.
        longest: The same of the state with the longest mean.
    """

    block: str
    decay: tuple[float, ...]
    length: tuple[float, ...]
    longest: float


@torch.no_grad()
def measure_decay(model: Network, image: Tensor) -> list[BlockDecay]:
    """Run a network on an image and look into its recurrences.

    Args:
        model: The network, in eval mode.
        image: (1, 3, H, W) in [0, 1].

    Returns:
        An entry for each mixer with a recurrence over the tokens.

    Raises:
        InputError: If the network has none.
    """
    found: list[BlockDecay] = []

    def look(name: str, mixer: RecurrentMixer, tokens: Tensor, size: Size) -> None:
        assert isinstance(mixer.core, ModulatedLRU) and mixer.modulation is not None
        decay = mixer.core.scan_decay(mixer.modulation(tokens), size)
        if decay is None:
            return
        lengths = fading_lengths(decay[0])
        found.append(BlockDecay(name, _quantiles(decay), _quantiles(lengths), float(lengths.float().mean(dim=0).max())))

    with _watching(model, look):
        model(image)
    if not found:
        raise InputError("The network has no recurrence over the tokens of an image.")
    return found


def fading_lengths(decay: Tensor) -> Tensor:
    """Count the steps in which each state of each token fades to 1/e.

    Args:
        decay: |a|, (L, N), in the order of the scan; step k multiplies the state after token k − 1.

    Returns:
        (L, N) int64: the least m with |a_{k+1}| ⋯ |a_{k+m}| ≤ 1/e, or the number of tokens after k if it lasts longer.
    """
    length = len(decay)
    # −log of the product up to and including token k, rising along the sequence, in float64: differences of long sums
    # are wanted.
    faded = decay.double().clamp_min(1e-30).log().neg().cumsum(dim=0).t().contiguous()
    first = torch.searchsorted(faded, faded + 1)
    return (first.clamp_max(length - 1) - torch.arange(length)).t()


def dependence(model: Network, image: Tensor, row: int, column: int) -> np.ndarray:
    """Compute how strongly each input pixel moves one output pixel: the sum over the channels of |∂y/∂x|.

    Args:
        model: The network, in eval mode.
        image: (1, 3, H, W) in [0, 1].
        row: Of the output pixel.
        column: Of the output pixel.

    Returns:
        (H, W) float64, for the sum of the pixel's three channels.

    Raises:
        InputError: If the output has no such pixel.
    """
    source = image.detach().clone().requires_grad_()
    output = model(source)
    if not (0 <= row < output.shape[2] and 0 <= column < output.shape[3]):
        raise InputError(f"The output of {output.shape[3]}×{output.shape[2]} pixels has none at ({row}, {column}).")
    (gradient,) = torch.autograd.grad(output[0, :, row, column].sum(), source)
    return gradient[0].abs().sum(dim=0).double().numpy()


def far_share(influence: np.ndarray, row: float, column: float, radius: float) -> float:
    """Return which share of the influence comes from pixels farther than `radius` from a point, in [0, 1].

    Args:
        influence: (H, W), see `dependence`.
        row: Of the point, in input pixels.
        column: Of the point, in input pixels.
        radius: In input pixels.
    """
    y, x = np.mgrid[: influence.shape[0], : influence.shape[1]]
    far = np.hypot(y - row, x - column) > radius
    return float(influence[far].sum() / influence.sum())


def _quantiles(values: Tensor) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values.double().numpy(), QUANTILES))


@contextmanager
def _watching(model: nn.Module, look: Callable[[str, RecurrentMixer, Tensor, Size], None]) -> Iterator[None]:
    """Call `look` with the name, the module and the arguments of every modulated mixer over tokens that runs."""
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs, name=name: look(name, module, *inputs))
        for name, module in model.named_modules()
        if isinstance(module, RecurrentMixer)
        and isinstance(module.core, ModulatedLRU)
        and module.core.config.mode != "official"
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
