"""The linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349) as a layer over sequences.

h_k = λ ⊙ h_{k−1} + γ ⊙ (B u_k),   y_k = Re(C h_k) + D ⊙ u_k,   λ = exp(−exp(ν)) exp(i exp(θ))
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsm.errors import OptionError, unknown_name
from lsm.scan import linear_scan
from lsm.scan.op import HAS_NUMBA
from lsm.scan.parameters import LRUParameters

State = tuple[Tensor, Tensor]
"""A complex state as real part and imaginary part, each (B, N)."""

METHODS = ("auto", "scan", "fft")

FFT_MOST_NUMBERS = 2**11 if HAS_NUMBA else 2**14
"""Up to this many complex states B·L·N the FFT is the faster one on a CPU, as `benchmarks/lru_paths.py` measures."""


def convolve_fft(transition: State, inputs: State, state: State | None = None) -> State:
    """Compute all states of h_k = λ ⊙ h_{k−1} + b_k for a λ that does not change, as a convolution with its powers.

    Args:
        transition: λ, real and imaginary part, (N,).
        inputs: b, real and imaginary part, (B, L, N).
        state: The state before the first step; zero by default.

    Returns:
        The states, real and imaginary part, (B, L, N).
    """
    length = inputs[0].shape[1]
    size = 1 << (2 * length - 1).bit_length()
    # The phase of λ^k grows with k, and float32 would lose its fraction; the powers alone are computed in float64.
    steps = torch.arange(length + 1, device=inputs[0].device, dtype=torch.float64)
    logs = torch.complex(transition[0], transition[1]).to(torch.complex128).log()
    dtype = torch.promote_types(inputs[0].dtype, torch.float32)  # halves have no complex FFT
    complex_inputs = torch.complex(inputs[0].to(dtype), inputs[1].to(dtype))
    powers = (logs * steps[:, None]).exp().to(complex_inputs.dtype)
    spectrum = torch.fft.fft(complex_inputs, size, dim=1) * torch.fft.fft(powers[:-1], size, dim=0)
    states = torch.fft.ifft(spectrum, dim=1)[:, :length]
    if state is not None:
        states = states + powers[1:] * torch.complex(*state)[:, None]
    return states.real, states.imag


class LRU(LRUParameters):
    """A linear recurrent unit over sequences (B, L, H); parameters named and shaped as in the library lrnnx.

    Args:
        d_model: H, channels in and out.
        d_state: N, complex states.
        r_min: Least |λ| at the start.
        r_max: Greatest |λ| at the start, at most 1.
        max_phase: Greatest phase of λ at the start, in radians.
        normalize: Whether the input is scaled by γ; without, there is no parameter `gamma_log`.
        method: "scan", "fft", or "auto": the FFT for short sequences on a CPU, the scan for all others.

    Raises:
        OptionError: On an unknown method.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        *,
        normalize: bool = True,
        method: str = "auto",
    ) -> None:
        if method not in METHODS:
            raise OptionError(unknown_name("LRU method", method, METHODS))
        super().__init__(d_model, d_state, r_min, r_max, max_phase, normalize=normalize)
        self.d_model, self.d_state, self.method = d_model, d_state, method
        self.D = nn.Parameter(torch.randn(d_model))

    def initial_state(self, batch: int) -> State:
        """Return the state before the first step: zeros, two tensors (B, N)."""
        zeros = self.nu_log.new_zeros(batch, self.d_state)
        return zeros, zeros

    def forward(self, inputs: Tensor) -> Tensor:
        """Run a whole sequence from the zero state: (B, L, H) → (B, L, H), L at least 1."""
        return self.scan(inputs)[0]

    def scan(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run a piece of a sequence.

        Args:
            inputs: (B, L, H), L at least 1.
            state: The state after the piece before this one; zero by default.

        Returns:
            The outputs, (B, L, H), and the state after the last step.
        """
        transition = self.transition()
        b_re, b_im = self.project(inputs).chunk(2, dim=-1)
        run = convolve_fft if self._takes_fft(inputs) else linear_scan
        states = run(transition, (b_re, b_im), state)
        return self._readout(states, inputs), (states[0][:, -1], states[1][:, -1])

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Run one time step.

        Args:
            inputs: u_k, (B, H).
            state: h_{k−1}; `initial_state` before the first step.

        Returns:
            y_k, (B, H), and h_k.
        """
        lambda_re, lambda_im = self.transition()
        b_re, b_im = self.project(inputs).chunk(2, dim=-1)
        re = lambda_re * state[0] - lambda_im * state[1] + b_re
        im = lambda_re * state[1] + lambda_im * state[0] + b_im
        return self._readout((re, im), inputs), (re, im)

    def _takes_fft(self, inputs: Tensor) -> bool:
        if self.method != "auto":
            return self.method == "fft"
        numbers = inputs.shape[0] * inputs.shape[1] * self.d_state
        return inputs.device.type == "cpu" and inputs.dtype == torch.float32 and numbers <= FFT_MOST_NUMBERS

    def _readout(self, states: State, inputs: Tensor) -> Tensor:
        """Compute Re(C h) + D ⊙ u from states, two tensors (…, N), and inputs (…, H)."""
        re, im = (part.to(self.D.dtype).flatten(0, -2) for part in states)
        # Sums that matrix products begin with: joining the two planes for one product would copy them.
        outputs = torch.addmm((self.D * inputs).flatten(0, -2), re, self.C_re.t())
        return torch.addmm(outputs, im, self.C_im.t(), alpha=-1).view_as(inputs)
