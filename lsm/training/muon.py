"""Muon: momentum, orthogonalised, for the weights that are matrices; AdamW for all others.

M_t = μ M_{t−1} + G_t;   O_t = UVᵀ of (G_t + μ M_t) = U S Vᵀ;   W_t = (1 − η w) W_{t−1} − η s O_t

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; weight decay and the shape factor "rms" from Liu et al.
2025, "Muon is scalable for LLM training" (arXiv 2502.16982). A convolution's weight (out, in, kh, kw) counts as the
matrix (out, in·kh·kw).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of the quintic X ← a X + b (XXᵀ) X + c (XXᵀ)² X, chosen by Jordan et al. to lift small values fast."""

SHAPE_FACTORS: dict[str, Callable[[int, int], float]] = {
    "spectral": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
    "rms": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}
"""s by shape: "spectral" bounds what an update does to activations, "rms" gives updates the size of AdamW's."""


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Replace the singular values of matrices by values near 1, in [0.7, 1.2], by a Newton–Schulz iteration.

    The iteration runs on the smaller Gram matrix: all its factors are polynomials in it and commute, so that only two
    products have the full size.

    Args:
        matrices: (n, rows, columns).
        steps: Of the iteration.

    Returns:
        (n, rows, columns), in float32.
    """
    x = matrices.float()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    gram = x @ x.mT
    identity = torch.eye(gram.shape[-1], dtype=x.dtype, device=x.device)
    product = identity.expand_as(gram)
    a, b, c = COEFFICIENTS
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c).add_(identity, alpha=a)
        product = factor @ product
        if step + 1 < steps:
            gram = factor @ gram @ factor
    x = product @ x
    return x.mT if tall else x


def split_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Divide a network's parameters into those for Muon and those for AdamW.

    The first and the last convolution touch pixels and go to AdamW, as embeddings and output layers do in language
    models; so do vectors and depthwise convolutions, whose weight is no matrix.

    Args:
        network: The network.

    Returns:
        Weights of two or more dimensions; and the rest. Parameters without gradient are in neither.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    convolutions = [parameter for parameter in parameters if parameter.ndim == 4]
    ends = {id(parameter) for parameter in convolutions[:1] + convolutions[-1:]}
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in parameters:
        is_matrix = parameter.ndim >= 2 and min(matrix_shape(parameter)) > 1
        is_depthwise = parameter.ndim == 4 and parameter.shape[1] == 1
        chosen = matrices if is_matrix and not is_depthwise and id(parameter) not in ends else others
        chosen.append(parameter)
    return matrices, others


def matrix_shape(weight: Tensor) -> tuple[int, int]:
    """Return rows and columns of a weight (out, …) as the matrix (out, all else)."""
    return weight.shape[0], weight.numel() // weight.shape[0]


class Muon(torch.optim.Optimizer):
    """Muon for groups with `use_muon`, AdamW for the others.

    Args:
        params: Groups; all parameters of a group with `use_muon` have two dimensions or more. A group's own values go
            before the defaults.
        lr: η.
        momentum: μ of Muon's groups.
        weight_decay: w, decoupled and relative to η.
        shape_factor: One of `SHAPE_FACTORS`.
        steps: Of the Newton–Schulz iteration.
        betas: Of AdamW's groups.
        eps: Of AdamW's groups.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        shape_factor: str = "spectral",
        steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        defaults = {
            **{"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "shape_factor": shape_factor},
            **{"steps": steps, "betas": betas, "eps": eps, "use_muon": True, "step": 0},
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                (self._step_muon if group["use_muon"] else self._step_adamw)(group, parameters)
        return loss

    def _step_muon(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Orthogonalise the momentum of all matrices of one shape at a time."""
        gradients, weights = _tensors(parameters)
        buffers = [self._state(parameter, "momentum_buffer") for parameter in parameters]
        torch._foreach_mul_(buffers, group["momentum"])
        torch._foreach_add_(buffers, gradients)
        directions = torch._foreach_add(gradients, buffers, alpha=group["momentum"])  # Nesterov's
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        by_shape: dict[tuple[int, int], list[int]] = {}
        for index, parameter in enumerate(parameters):
            by_shape.setdefault(matrix_shape(parameter), []).append(index)
        for shape, indices in by_shape.items():
            updates = orthogonalize(torch.stack([directions[i].reshape(shape) for i in indices]), group["steps"])
            rate = group["lr"] * SHAPE_FACTORS[group["shape_factor"]](*shape)
            chosen = [weights[i] for i in indices]
            shaped = [update.view_as(p) for update, p in zip(updates.contiguous(), chosen, strict=True)]
            torch._foreach_add_(chosen, shaped, alpha=-rate)

    def _step_adamw(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Do AdamW's step (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
        gradients, weights = _tensors(parameters)
        means = [self._state(parameter, "exp_avg") for parameter in parameters]
        squares = [self._state(parameter, "exp_avg_sq") for parameter in parameters]
        beta1, beta2 = group["betas"]
        group["step"] += 1
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        denominators = torch._foreach_sqrt(squares)
        torch._foreach_div_(denominators, math.sqrt(1 - beta2 ** group["step"]))
        torch._foreach_add_(denominators, group["eps"])
        torch._foreach_addcdiv_(weights, means, denominators, -group["lr"] / (1 - beta1 ** group["step"]))

    def _state(self, parameter: nn.Parameter, name: str) -> Tensor:
        """Return a running value of a parameter, zeros at first."""
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter)
        return state[name]


def _tensors(parameters: list[nn.Parameter]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients of parameters, and the parameters themselves, as plain lists of tensors."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None], list(parameters)
