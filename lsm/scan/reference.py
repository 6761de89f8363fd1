"""The plain time loop: the ground truth of every other backend, in any dtype, never optimised."""

from __future__ import annotations

import torch

from lsm.scan.planes import Planes


def scan_reference(a: Planes, b: Planes, h0: Planes | None, reverse: bool) -> Planes:
    """Run h_k = a_k h_{k-1} + b_k one step after the other.

    Args:
        a: Transitions, planes of shape (B, L, N).
        b: Inputs, planes of shape (B, L, N).
        h0: State before the first step, planes of shape (B, N); zero if None.
        reverse: Start at the last position and go down.

    Returns:
        The states, planes of shape (B, L, N).
    """
    length = b[0].shape[1]
    state = tuple(torch.zeros_like(plane[:, 0]) for plane in b) if h0 is None else h0
    states: list[Planes] = [state] * length
    for k in reversed(range(length)) if reverse else range(length):
        if len(a) == 1:
            state = (a[0][:, k] * state[0] + b[0][:, k],)
        else:
            (a_re, a_im), (h_re, h_im) = (a[0][:, k], a[1][:, k]), state
            state = (a_re * h_re - a_im * h_im + b[0][:, k], a_re * h_im + a_im * h_re + b[1][:, k])
        states[k] = state
    return tuple(torch.stack([step[plane] for step in states], dim=1) for plane in range(len(b)))
