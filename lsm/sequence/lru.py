"""The linear recurrent unit (Orvieto et al. 2023, arXiv 2303.06349): its parametrisation, and the layer.

h_k = λ ⊙ h_{k−1} + γ ⊙ (B u_k),   y_k = Re(C h_k) + D ⊙ u_k,   λ = exp(−exp(ν)) exp(i exp(θ))

The parametrisation of λ is here for the whole package; the modulated recurrence of images uses it too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lsm.errors import OptionError, unknown_name
from lsm.scan import linear_scan
from lsm.scan.op import HAS_NUMBA

State = tuple[Tensor, Tensor]
"""A complex state as real part and imaginary part, each (B, N)."""

METHODS = ("auto", "scan", "fft")

FFT_MOST_NUMBERS = 2**11 if HAS_NUMBA else 2**14
"""Up to this many complex states B·L·N the FFT is the faster one on a CPU, as `benchmarks/lru_paths.py` measures."""

LEAST_DECAY = 2.0**-21
"""Least −log|λ|: a few float32 roundings, so that |λ| stays below 1 after them too."""


def initial_eigenvalues(d_state: int, r_min: float, r_max: float, max_phase: float) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the parameters of λ, with |λ|² uniform in [r_min², r_max²] and the phase uniform in [0, max_phase].

    Args:
        d_state: N.
        r_min: Least |λ|, in [0, r_max).
        r_max: Greatest |λ|, in (0, 1].
        max_phase: Greatest phase, in radians.

    Returns:
        log ν, log θ and log γ with γ = √(1 − |λ|²), each (N,).
    """
    # A radius of exactly 0 or 1 and a phase of 0 have no finite logarithm; float32 can draw them.
    radius_sq = torch.empty(d_state).uniform_(r_min**2, r_max**2).clamp(1e-12, 1 - 1e-6)
    phase = torch.empty(d_state).uniform_(0, max_phase).clamp_min(1e-6)
    return (-0.5 * radius_sq.log()).log(), phase.log(), 0.5 * (1 - radius_sq).log()


def eigenvalues(nu_log: Tensor, theta_log: Tensor) -> State:
    """Compute λ = exp(−exp(ν)) exp(i exp(θ)) as real and imaginary part.

    Args:
        nu_log: ν, any shape.
        theta_log: θ, the same shape.

    Returns:
        Two tensors of that shape, with |λ| < 1 whatever ν is, also after rounding to float32.
    """
    radius, phase = torch.exp(-nu_log.exp().clamp_min(LEAST_DECAY)), theta_log.exp()
    return radius * phase.cos(), radius * phase.sin()


def convolve_fft(transition: State, drive: State, state: State | None = None) -> State:
    """Compute all states of h_k = λ ⊙ h_{k−1} + b_k for a λ that does not change, as a convolution with its powers.

    Args:
        transition: λ, real and imaginary part, (N,).
        drive: b, real and imaginary part, (B, L, N).
        state: The state before the first step; zero by default.

    Returns:
        The states, real and imaginary part, (B, L, N).
    """
    length = drive[0].shape[1]
    size = 1 << (2 * length - 1).bit_length()
    # The phase of λ^k grows with k, and float32 would lose its fraction; the powers alone are computed in float64.
    steps = torch.arange(length + 1, device=drive[0].device, dtype=torch.float64)
    logs = torch.complex(transition[0], transition[1]).to(torch.complex128).log()
    dtype = torch.promote_types(drive[0].dtype, torch.float32)  # halves have no complex FFT
    inputs = torch.complex(drive[0].to(dtype), drive[1].to(dtype))
    powers = (logs * steps[:, None]).exp().to(inputs.dtype)
    spectrum = torch.fft.fft(inputs, size, dim=1) * torch.fft.fft(powers[:-1], size, dim=0)
    states = torch.fft.ifft(spectrum, dim=1)[:, :length]
    if state is not None:
        states = states + powers[1:] * torch.complex(*state)[:, None]
    return states.real, states.imag


class LRU(nn.Module):
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

    gamma_log: Tensor | None

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
        super().__init__()
        if method not in METHODS:
            raise OptionError(unknown_name("LRU method", method, METHODS))
        self.d_model, self.d_state, self.method = d_model, d_state, method
        nu_log, theta_log, gamma_log = initial_eigenvalues(d_state, r_min, r_max, max_phase)
        self.nu_log, self.theta_log = nn.Parameter(nu_log), nn.Parameter(theta_log)
        self.register_parameter("gamma_log", nn.Parameter(gamma_log) if normalize else None)
        self.B_re = nn.Parameter(torch.randn(d_state, d_model) / math.sqrt(2 * d_model))
        self.B_im = nn.Parameter(torch.randn(d_state, d_model) / math.sqrt(2 * d_model))
        self.C_re = nn.Parameter(torch.randn(d_model, d_state) / math.sqrt(d_state))
        self.C_im = nn.Parameter(torch.randn(d_model, d_state) / math.sqrt(d_state))
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
        transition = eigenvalues(self.nu_log, self.theta_log)
        drive_re, drive_im = self._drive(inputs).chunk(2, dim=-1)
        run = convolve_fft if self._takes_fft(inputs) else linear_scan
        states = run(transition, (drive_re, drive_im), state)
        return self._readout(states, inputs), (states[0][:, -1], states[1][:, -1])

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Run one time step.

        Args:
            inputs: u_k, (B, H).
            state: h_{k−1}; `initial_state` before the first step.

        Returns:
            y_k, (B, H), and h_k.
        """
        lambda_re, lambda_im = eigenvalues(self.nu_log, self.theta_log)
        drive_re, drive_im = self._drive(inputs).chunk(2, dim=-1)
        re = lambda_re * state[0] - lambda_im * state[1] + drive_re
        im = lambda_re * state[1] + lambda_im * state[0] + drive_im
        return self._readout((re, im), inputs), (re, im)

    def _takes_fft(self, inputs: Tensor) -> bool:
        if self.method != "auto":
            return self.method == "fft"
        numbers = inputs.shape[0] * inputs.shape[1] * self.d_state
        return inputs.device.type == "cpu" and inputs.dtype == torch.float32 and numbers <= FFT_MOST_NUMBERS

    def _drive(self, inputs: Tensor) -> Tensor:
        """Compute γ ⊙ (B u), real parts then imaginary parts: (…, H) → (…, 2N)."""
        weight = torch.cat([self.B_re, self.B_im])
        if self.gamma_log is not None:
            weight = weight * self.gamma_log.exp().repeat(2)[:, None]
        return inputs @ weight.t()

    def _readout(self, states: State, inputs: Tensor) -> Tensor:
        """Compute Re(C h) + D ⊙ u from states, two tensors (…, N), and inputs (…, H)."""
        re, im = (part.to(self.D.dtype).flatten(0, -2) for part in states)
        # Sums that matrix products begin with: joining the two planes for one product would copy them.
        outputs = torch.addmm((self.D * inputs).flatten(0, -2), re, self.C_re.t())
        return torch.addmm(outputs, im, self.C_im.t(), alpha=-1).view_as(inputs)
