"""What a network costs: parameters, MACs (scan included) and measured peak memory, at an input size."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lsm.scan  # noqa: F401  (registers the operator counted below)
from lsm.inference.memory import peak_memory


@dataclass(frozen=True)
class Complexity:
    """Cost of one forward pass of one image.

    Attributes:
        parameters: Learned numbers.
        macs: Of convolutions, matrix products, Fourier transforms and scans, not of elementwise operations, as
            is the custom.
        scan_macs: The scans' part of these.
    """

    parameters: int
    macs: int
    scan_macs: int


def complexity(model: nn.Module, height: int, width: int) -> Complexity:
    """Count the cost of a network at an input size, on torch's meta device: nothing is computed.

    Args:
        model: Takes (1, 3, H, W).
        height: H of the low-resolution input.
        width: W of the low-resolution input.

    Returns:
        The counts.
    """
    return count_cost(model, torch.empty(1, 3, height, width, device="meta"))


def count_cost(module: nn.Module, *inputs: Any) -> Complexity:
    """Count the cost of any module, on torch's meta device: nothing is computed.

    Args:
        module: Called as in eval mode.
        *inputs: Its arguments; tensors on the meta device.
    """
    shadow = copy.deepcopy(module).to("meta").eval()
    scan, aten = torch.ops.lsm.linear_scan, torch.ops.aten
    mapping: dict[Any, Any] = {
        scan: _scan_flops,
        aten._fft_r2c: partial(_fft_flops, 2.5),
        aten._fft_c2c: partial(_fft_flops, 5.0),
        aten._fft_c2r: partial(_fft_flops, 2.5, inverse=True),
    }
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        shadow(*inputs)
    scans = counter.get_flop_counts().get("Global", {}).get(scan, 0)
    return Complexity(sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2, scans // 2)


def _fft_flops(
    factor: float, shape: Any, axes: Any, *rest: Any, inverse: bool = False, out_shape: Any = None, **options: Any
) -> int:
    """Count a fast Fourier transform of n points as 5 n log₂ n operations, of real ones as half of that."""
    real = out_shape if inverse else shape
    return int(factor * math.prod(real) * math.log2(max(2, math.prod(real[axis] for axis in axes))))


def _scan_flops(a_re: Any, a_im: Any, b_re: Any, *rest: Any, out_shape: Any = None, **options: Any) -> int:
    """Count the operations of h ← a h + b: a complex product and sum are 4 MACs an element, a real one 1.

    The counter hands shapes in place of tensors, and counts two operations a MAC.
    """
    batch, length, states = b_re
    return 2 * batch * length * states * (1 if a_im is None else 4)


def forward_peak_memory(model: nn.Module, height: int, width: int) -> int:
    """Measure the peak memory of one forward pass without gradients, by running it where the model is.

    Args:
        model: Takes (1, 3, H, W).
        height: H of the low-resolution input.
        width: W of the low-resolution input.

    Returns:
        Bytes beyond the weights, for the input, all intermediate results and the output.
    """
    device = next(model.parameters()).device

    def run() -> None:
        with torch.inference_mode():
            model(torch.zeros(1, 3, height, width, device=device))

    return peak_memory(run, device)


def format_quantity(number: float, unit: str = "", base: int = 1000) -> str:
    """Write a number with the prefix that leaves 1 to 3 digits before the point: 71.7 G, 1.25 GiB."""
    prefixes = ["", "k", "M", "G", "T", "P"] if base == 1000 else ["", "Ki", "Mi", "Gi", "Ti", "Pi"]
    step = 0
    while number >= base and step < len(prefixes) - 1:
        number /= base
        step += 1
    return f"{number:.4g} {prefixes[step]}{unit}".rstrip()
