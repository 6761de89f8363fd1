"""The modulated scan as one compiled loop for CPUs: gates, transitions and states are read or made where they are used.

Tokens are fetched in the scan order, and each result is written where its token is: nothing is reordered, and besides
the result no memory is needed. The multiplications and additions are those of `lsm.scan.modulated`'s backend
"composed", in its order and not fused, so that both give the same bits. There is no gradient.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import uint64
from torch import Tensor

from lsm.scan.numba_scan import Strides, compiled, flat


def _scan(
    inputs: np.ndarray, inputs_strides: Strides, decay: np.ndarray, decay_strides: Strides,
    gates: np.ndarray, gates_strides: Strides, phase: np.ndarray, order: np.ndarray,
    state: np.ndarray, out: np.ndarray, reverse: bool,
) -> None:  # fmt: skip
    """Scan flat arrays into `out`, (B, L, 2N) flat; `order` is (1 or B, L), `state`, (2, N), room for a state."""
    width, length = state.shape[1], order.shape[1]
    batches = out.size // (2 * width * length)
    state_re, state_im, phase_re, phase_im = state[0], state[1], phase[0], phase[1]
    for batch in range(batches):
        tokens = order[batch if order.shape[0] > 1 else 0]
        state[:] = 0
        for step in range(length):
            token = tokens[length - 1 - step if reverse else step]
            at_u = uint64(batch * inputs_strides[0] + token * inputs_strides[1])
            at_m = uint64(batch * decay_strides[0] + token * decay_strides[1])
            at_g = uint64(batch * gates_strides[0] + token * gates_strides[1])
            at = uint64((batch * length + token) * 2 * width)
            for n in range(uint64(width)):
                x, y, m, gate = state_re[n], state_im[n], decay[at_m + n], gates[at_g + n]
                a_re, a_im = m * phase_re[n], m * phase_im[n]
                re = a_re * x - a_im * y + inputs[at_u + n] * gate
                im = a_re * y + a_im * x + inputs[at_u + uint64(width) + n] * gate
                state_re[n], state_im[n] = re, im
                out[at + n] = re * gates[at_g + uint64(width) + n]
                out[at + uint64(width) + n] = im * gates[at_g + uint64(2 * width) + n]


_SCAN = compiled(_scan)


def run_modulated(
    inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor, order: Tensor | None, reverse: bool
) -> Tensor:
    """Compute y, (B, L, 2N), as `lsm.scan.modulated_scan` does.

    Args:
        inputs: u, (B, L, 2N); this and all others of one type, float32 or float64, on a CPU.
        decay: m, (B, L, N).
        gates: M_B, M_Cre and M_Cim side by side, (B, L, 3N).
        phase: ρ as two planes, (2, N).
        order: Permutations, (1 or B, L) int64.
        reverse: Visit the tokens of the order from the last to the first.

    Raises:
        ValueError: If shapes do not fit each other, or the order names tokens that are not there.
    """
    order = torch.arange(decay.shape[1])[None] if order is None else order.contiguous()
    _check(inputs, decay, gates, phase, order)
    out = inputs.new_empty(inputs.shape)
    width = decay.shape[2]
    arrays = [part for item in (inputs, decay, gates) for part in _one(item)]
    state = np.zeros((2, width), arrays[0].dtype)  # type: ignore[union-attr]
    _SCAN(*arrays, phase.detach().contiguous().numpy(), order.numpy(), state, out.view(-1).numpy(), reverse)
    return out


def _check(inputs: Tensor, decay: Tensor, gates: Tensor, phase: Tensor, order: Tensor) -> None:
    """Refuse what would make the loop read or write beyond its arrays."""
    batch, length, width = decay.shape
    shapes = [tuple(item.shape) for item in (inputs, gates, phase)]
    if shapes != [(batch, length, 2 * width), (batch, length, 3 * width), (2, width)]:
        raise ValueError(f"Inputs, gates and phase {shapes} do not fit a decay of shape {tuple(decay.shape)}.")
    if order.shape[0] not in (1, batch) or order.shape[1] != length or order.dtype != torch.int64:
        raise ValueError(
            f"The order has shape {tuple(order.shape)}; for {batch} x {length} tokens, int64, it is wrong."
        )
    if length and not (order.min() >= 0 and order.max() < length):
        raise ValueError(f"The order names tokens that are not among the {length}.")


def _one(item: Tensor) -> tuple[np.ndarray, Strides]:
    (array,), strides = flat((item,))
    return array, strides
