"""How good a denoised signal is: SNR, SI-SDR, STOI, PESQ."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from lsm.audio.libraries import load_library
from lsm.errors import InputError

PROTOCOL = (
    "One channel at 16 kHz, whole signals. SNR: 10·log10(|clean|² / |estimate − clean|²). SI-SDR: the same after the "
    "clean signal is scaled to the estimate's projection on it, no mean removed. STOI: classical, of pystoi. PESQ: "
    "wide band (ITU-T P.862.2), of pesq. Means are over signals, in dB for the ratios."
)


def snr(estimate: Tensor, clean: Tensor) -> Tensor:
    """Compute the signal-to-noise ratio in dB of signals (…, T): (…).

    Silence against silence is NaN; an exact estimate is infinite.
    """
    return 10 * torch.log10(clean.square().sum(-1) / (estimate - clean).square().sum(-1))


def si_sdr(estimate: Tensor, clean: Tensor) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio in dB of signals (…, T): (…).

    The clean signal is scaled to α = ⟨estimate, clean⟩ / |clean|², so the level of the estimate does not matter.
    """
    scale = (estimate * clean).sum(-1, keepdim=True) / clean.square().sum(-1, keepdim=True)
    return snr(estimate, scale * clean)


def stoi(estimate: np.ndarray, clean: np.ndarray, rate: int) -> float:
    """Compute the short-time objective intelligibility of a signal (T,), 0 … 1.

    Raises:
        InputError: If pystoi is not installed, or less than 384 ms of the signal are speech.
    """
    compute = load_library("pystoi").stoi
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(compute(clean, estimate, rate, extended=False))
        except RuntimeWarning as error:
            raise InputError(f"STOI needs more speech than this signal holds: {error}") from error


def pesq(estimate: np.ndarray, clean: np.ndarray, rate: int) -> float:
    """Compute the perceptual quality of speech (T,) by wide-band PESQ, 1.04 … 4.64.

    Raises:
        InputError: If pesq is not installed, the rate is not 16 kHz, or it finds no speech.
    """
    library = load_library("pesq")
    if rate != 16000:
        raise InputError(f"Wide-band PESQ is defined at 16 kHz, not at {rate} Hz.")
    try:
        return float(library.pesq(rate, clean, estimate, "wb"))
    except library.PesqError as error:
        raise InputError(f"PESQ cannot judge this signal: {error}") from error
