"""Synthetic signals and noises, drawn from a generator: float32 arrays of one channel, full scale 1.

`harmonic_tone` with white noise is the simple task; `SIGNALS` and `NOISES` are the richer one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Maker = Callable[[np.random.Generator, int, int], np.ndarray]
"""Makes a signal from a generator, a length in samples and a sampling rate in Hz: (length,)."""

SIMPLE_SNR = (5.1, 10.1)
"""Signal-to-noise ratios of the simple task, in dB; 7.6 on average."""


def harmonic_tone(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make a steady tone of 200–800 Hz with up to five harmonics, each at random phase and a falling amplitude."""
    phase = 2 * np.pi * rng.uniform(200, 800) * np.arange(length) / rate
    orders = np.arange(1, rng.integers(1, 6) + 1)
    return _peak(_harmonics(rng, phase, rng.uniform(0.3, 1.0, len(orders)) / orders), rng.uniform(0.3, 0.9))


def simple_pair(rng: np.random.Generator, length: int, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Make a pair of the simple task: a harmonic tone in white Gaussian noise, and the tone, each (length,)."""
    clean = harmonic_tone(rng, length, rate)
    noise = rng.standard_normal(length).astype(np.float32)
    return mix(clean, noise, rng.uniform(*SIMPLE_SNR)), clean


def mix(clean: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """Add noise (T,) to a signal (T,) at a signal-to-noise ratio in dB; a silent one of them is added as it is."""
    energy, noise_energy = np.sum(np.square(clean, dtype=np.float64)), np.sum(np.square(noise, dtype=np.float64))
    if energy == 0 or noise_energy == 0:
        return clean + noise
    return clean + noise * np.float32(np.sqrt(energy / noise_energy) * 10 ** (-snr / 20))


def chirp(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make a tone that glides between two frequencies of 100 Hz to 0.4 of the rate, under a random envelope."""
    start, end = np.exp(rng.uniform(np.log(100), np.log(0.4 * rate), 2))
    frequency = start * (end / start) ** np.linspace(0, 1, length)
    return _peak(np.sin(_phase(frequency, rate)) * _envelope(rng, length, rate, 3.0), rng.uniform(0.2, 0.9))


def modulated_harmonics(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make harmonics of 80–800 Hz with vibrato, modulated in amplitude at 1–12 Hz."""
    time = np.arange(length) / rate
    base = np.exp(rng.uniform(np.log(80), np.log(800)))
    vibrato = rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(3, 7) * time + rng.uniform(0, 6))
    phase = _phase(base * (1 + vibrato), rate)
    orders = np.arange(1, min(12, int(0.45 * rate / base)) + 1)
    tilt = rng.uniform(0.5, 2.0)
    tone = _harmonics(rng, phase, rng.uniform(0.2, 1.0, len(orders)) * orders**-tilt)
    depth = rng.uniform(0.3, 1.0)
    beat = 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 12) * time + rng.uniform(0, 6)))
    return _peak(tone * beat, rng.uniform(0.2, 0.9))


def voice(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make something with the structure of speech: syllables of a pulsed or hissing source through moving formants."""
    hop = rate // 100
    window = 2 * hop
    frames = length // hop + 3
    size = frames * hop + window
    pitch = np.exp(rng.uniform(np.log(80), np.log(280))) * np.exp(0.15 * _smooth(rng, size, rate, 2.5))
    cycles = np.cumsum(pitch) / rate
    pulses = np.diff(np.floor(cycles), prepend=0) * np.sqrt(rate / pitch)
    hiss = rng.standard_normal(size)
    kinds = _syllables(rng, frames)
    shape = np.hanning(window + 1)[:window]
    cut = np.arange(frames)[:, None] * hop + np.arange(window)
    frequencies = np.fft.rfftfreq(2 * window, 1 / rate)
    voiced = np.fft.rfft(pulses[cut] * shape, 2 * window) * _formants(rng, frames, frequencies)
    unvoiced = np.fft.rfft(hiss[cut] * shape, 2 * window) * _friction(rng, frames, frequencies)
    pieces = np.fft.irfft(kinds[0][:, None] * voiced + kinds[1][:, None] * unvoiced)
    out = np.zeros((frames + 3, hop))
    for part in range(4):  # a piece is four hops long
        out[part : part + frames] += pieces[:, part * hop : (part + 1) * hop]
    return _peak(out.ravel()[window : window + length], rng.uniform(0.2, 0.9))


def coloured_noise(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make Gaussian noise of power ∝ f^−α, α uniform in −1 (blue) … 2 (brown), with random bands raised or lowered."""
    return shaped_noise(rng, length, rate, rng.uniform(-1, 2), bands=int(rng.integers(0, 4)))


def shaped_noise(rng: np.random.Generator, length: int, rate: int, alpha: float, bands: int = 0) -> np.ndarray:
    """Make Gaussian noise of power ∝ f^−alpha above 20 Hz, root mean square 0.1.

    Args:
        rng: Random numbers.
        length: Samples.
        rate: Sampling rate in Hz.
        alpha: 0 white, 1 pink, 2 brown, −1 blue.
        bands: Random bands of about an octave that are raised or lowered by up to 12 dB.
    """
    frequencies = np.maximum(np.fft.rfftfreq(length, 1 / rate), 20)
    gain = frequencies ** (-alpha / 2)
    for _ in range(bands):
        centre = np.exp(rng.uniform(np.log(100), np.log(rate / 2)))
        gain *= 10 ** (rng.uniform(-12, 12) / 20 * np.exp(-2 * np.log2(frequencies / centre) ** 2))
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(length)) * gain, length)
    return (0.1 * noise / max(np.sqrt(np.mean(noise**2)), 1e-12)).astype(np.float32)


def unsteady_noise(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make coloured noise whose level changes by several dB within a second, as wind and traffic do."""
    return (coloured_noise(rng, length, rate) * np.exp(0.6 * _smooth(rng, length, rate, 2.0))).astype(np.float32)


def hum(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make the hum of 50 or 60 Hz mains with its harmonics, over a little coloured noise."""
    phase = 2 * np.pi * rng.choice([50, 60]) * np.arange(length) / rate
    tone = _harmonics(rng, phase, rng.uniform(0, 1, 11) / np.arange(1, 12))
    return (0.1 * tone + rng.uniform(0.2, 1) * coloured_noise(rng, length, rate)).astype(np.float32)


def babble(rng: np.random.Generator, length: int, rate: int) -> np.ndarray:
    """Make the murmur of three to five voices."""
    voices = np.stack([voice(rng, length, rate) for _ in range(rng.integers(3, 6))])
    return voices.mean(axis=0)


SIGNALS: dict[str, Maker] = {"chirp": chirp, "modulated": modulated_harmonics, "voice": voice}
"""Signals of the richer maker."""

NOISES: dict[str, tuple[Maker, float]] = {
    "coloured": (coloured_noise, 0.65),
    "unsteady": (unsteady_noise, 0.2),
    "hum": (hum, 0.1),
    "babble": (babble, 0.05),
}
"""Noises of the richer maker, each with its share."""


def _peak(signal: np.ndarray, peak: float) -> np.ndarray:
    return (signal * (peak / max(np.abs(signal).max(), 1e-9))).astype(np.float32)


def _harmonics(rng: np.random.Generator, phase: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """Sum Σ_k a_k cos(k·phase + random) by Horner's rule, which needs one exponential instead of one a harmonic."""
    turns = np.exp(1j * phase)
    coefficients = amplitudes * np.exp(1j * rng.uniform(0, 2 * np.pi, len(amplitudes)))
    total = np.full(len(phase), coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * turns + coefficient
    return (total * turns).real


def _phase(frequency: np.ndarray, rate: int) -> np.ndarray:
    return 2 * np.pi * np.cumsum(frequency) / rate


def _smooth(rng: np.random.Generator, length: int, rate: int, cutoff: float) -> np.ndarray:
    """Draw a curve of variance 1 without frequencies above about `cutoff` Hz."""
    points = max(2, int(length / rate * 2 * cutoff) + 2)
    return np.interp(np.linspace(0, points - 1, length), np.arange(points), rng.standard_normal(points))


def _envelope(rng: np.random.Generator, length: int, rate: int, cutoff: float) -> np.ndarray:
    return np.exp(0.7 * _smooth(rng, length, rate, cutoff))


def _syllables(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Draw the strengths of the pulsed and of the hissing source for frames of 10 ms, (2, frames)."""
    kinds = np.zeros((2, frames + 60))
    at = int(rng.integers(0, 30))
    while at < frames:
        if rng.random() < 0.6:
            burst = int(rng.integers(4, 13))
            kinds[1, at : at + burst] += rng.uniform(0.03, 0.5) * np.hanning(burst + 2)[1:-1]
            at += burst - 2
        sound = int(rng.integers(8, 28))
        kinds[0, at : at + sound] += rng.uniform(0.3, 1.0) * np.hanning(sound + 2)[1:-1] ** 0.5
        at += sound + int(rng.integers(0, 6) if rng.random() < 0.8 else rng.integers(10, 50))
    return kinds[:, :frames]


def _formants(rng: np.random.Generator, frames: int, frequencies: np.ndarray) -> np.ndarray:
    """Draw a gliding vocal tract: gains (frames, bins) of four resonances over a falling source."""
    vowels = -(-frames // 12) + 1
    size = rng.uniform(0.85, 1.2)
    ranges = ((250, 850), (800, 2300), (2000, 3000), (3200, 4000))
    gains = np.zeros((frames, len(frequencies)))
    for low, high in ranges:
        centres = np.interp(np.arange(frames) / 12, np.arange(vowels), rng.uniform(low, high, vowels)) * size
        width = rng.uniform(50, 110) + 0.03 * centres
        gains += rng.uniform(0.5, 1.0) / (1 + ((frequencies - centres[:, None]) / width[:, None]) ** 2)
    tilt = rng.uniform(0.3, 0.9)
    return (gains + 0.003) * (1 + frequencies / 300) ** -tilt


def _friction(rng: np.random.Generator, frames: int, frequencies: np.ndarray) -> np.ndarray:
    """Draw the broad, high bands of consonants: gains (frames, bins), another one every 100 ms."""
    bands = -(-frames // 10)
    centres, widths = rng.uniform(1500, 7000, (bands, 1)), rng.uniform(500, 2000, (bands, 1))
    return np.repeat(np.exp(-(((frequencies - centres) / widths) ** 2)) + 0.01, 10, axis=0)[:frames]
