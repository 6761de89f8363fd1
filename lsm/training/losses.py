"""The losses of a training by the names that its log shows, and one that BasicSR does not have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lsm.errors import LSMError, OptionError, first_line
from lsm.training.compat import build_loss


class FFTLoss(nn.Module):
    """Mean absolute difference of the two spectra, real and imaginary parts: |F(x) − F(y)|₁ over 2·C·H·(W/2+1) values.

    SAFMN (Sun et al. 2023, arXiv 2302.13800, §4.1) trains with it at a weight of 0.05 beside L1, SMFANet and SeemoRe-T
    too.

    Args:
        loss_weight: Factor on the loss.
    """

    def __init__(self, loss_weight: float = 0.05) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Compare images (B, C, H, W); returns a scalar."""
        # The transform is linear, so one of the difference does.
        spectrum = torch.view_as_real(torch.fft.rfft2(output.float() - target.float()))
        return self.loss_weight * spectrum.abs().mean()


class FurtherLosses(nn.Module):
    """What is added to the pixel loss: the spectra's, the perceptual one, and those that the config names.

    Args:
        train: The config's section `train`: `fft_opt`, `losses`.
        perceptual: BasicSR's perceptual loss, which returns the two values that it is made of; None for none.
    """

    def __init__(self, train: Mapping[str, Any], perceptual: nn.Module | None) -> None:
        super().__init__()
        self.perceptual = perceptual
        self.named = nn.ModuleDict({f"l_{name}": build_loss(options) for name, options in train["losses"].items()})
        if train["fft_opt"]:
            self.named["l_fft"] = FFTLoss(train["fft_opt"]["loss_weight"])

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compare images (B, 3, H, W); returns a scalar for each name."""
        values = {name: _scalar(name, loss, output, target) for name, loss in self.named.items()}
        if self.perceptual is not None:
            features, style = self.perceptual(output, target)
            values |= {name: value for name, value in (("l_percep", features), ("l_style", style)) if value is not None}
        return values


def _scalar(name: str, loss: Callable[..., Any], output: Tensor, target: Tensor) -> Tensor:
    """Compute a loss, and see that it is one.

    Raises:
        OptionError: If it is no tensor of one value.
    """
    value = loss(output, target)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise OptionError(f"The loss {name.removeprefix('l_')} gives no single value, which a gradient needs.")
    return value.reshape(())


@contextlib.contextmanager
def explain_missing_weights(train: Mapping[str, Any]) -> Iterator[None]:
    """Turn the error of a perceptual loss whose network cannot be downloaded into one that says where to put it.

    Raises:
        LSMError: If the block fails to read or fetch a file, and a perceptual loss is wanted.
    """
    try:
        yield
    except OSError as error:
        if train["perceptual_opt"] is None:
            raise
        raise LSMError(
            f"train.perceptual_opt: the weights of its network cannot be fetched ({first_line(error)}); put "
            "vgg19-dcbb9e9d.pth, as torchvision publishes it, into experiments/pretrained_models."
        ) from error
