"""Images of signals: spectrograms one above the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lsm.errors import InputError
from lsm.files import atomic_file

_RANGE_DB = 70.0
_HEIGHT, _WIDTH, _LEFT, _TOP, _BOTTOM = 128, 560, 60, 24, 26


def save_spectrograms(path: Path, signals: Mapping[str, Tensor], rate: int) -> None:
    """Write a PNG with a spectrogram of each signal, all on the scale of the last one.

    Args:
        path: The file; replaced if it exists.
        signals: (T,) by title, e.g. noisy, denoised, clean; at least 512 samples each.
        rate: Sampling rate in Hz.

    Raises:
        InputError: If there is no signal, or one is too short.
    """
    import cv2

    if not signals or any(len(signal) < 512 for signal in signals.values()):
        raise InputError("A spectrogram needs at least 512 samples of each signal.")
    levels = {title: _decibels(signal) for title, signal in signals.items()}
    top = float(list(levels.values())[-1].max())
    panels = [_panel(title, level, top, len(signals[title]) / rate, rate) for title, level in levels.items()]
    done, content = cv2.imencode(".png", np.concatenate(panels))
    if not done:
        raise InputError(f"The image {path} could not be encoded.")
    with atomic_file(path) as file:
        file.write(content.tobytes())


def _decibels(signal: Tensor) -> np.ndarray:
    """Compute levels (bins, frames), low frequencies first."""
    spectrum = torch.stft(signal.float(), 512, 128, window=torch.hann_window(512), return_complex=True)
    return 20 * torch.log10(spectrum.abs() + 1e-7).cpu().numpy()


def _panel(title: str, level: np.ndarray, top: float, seconds: float, rate: int) -> np.ndarray:
    """Draw one spectrogram with its title and axes, BGR."""
    import cv2

    grey = np.clip((level - top + _RANGE_DB) / _RANGE_DB * 255, 0, 255).astype(np.uint8)[::-1]
    colours = cv2.applyColorMap(np.ascontiguousarray(grey), cv2.COLORMAP_INFERNO)
    panel = np.full((_TOP + _HEIGHT + _BOTTOM, _LEFT + _WIDTH + 10, 3), 255, np.uint8)
    panel[_TOP : _TOP + _HEIGHT, _LEFT : _LEFT + _WIDTH] = cv2.resize(colours, (_WIDTH, _HEIGHT))

    def write(text: str, x: int, y: int, size: float = 0.42) -> None:
        cv2.putText(panel, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)

    write(title, _LEFT, _TOP - 8, 0.5)
    for part in range(3):
        write(f"{rate * part / 4000:.0f} kHz", 6, _TOP + _HEIGHT - round(part / 2 * (_HEIGHT - 10)))
    for part in range(5):
        write(f"{seconds * part / 4:.1f} s", _LEFT + round(part / 4 * (_WIDTH - 40)), _TOP + _HEIGHT + 16)
    return panel
