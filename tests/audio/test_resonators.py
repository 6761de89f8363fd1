import math

import pytest
import torch

from lsm.audio.resonators import ResonatorBank, tone_in_bins

SIZE, HOP = 64, 16


def spectra_of(signal):
    window = torch.hann_window(SIZE).sqrt()
    return window, torch.fft.rfft(signal.unfold(-1, SIZE, HOP) * window)


def one_by_one(spectra, window, resonators, radius):
    """Follow complex spectra (K, bins), resonator by resonator, from the inner product with its own windowed tone."""
    frames, bins = spectra.shape
    states = torch.zeros(frames, bins, resonators, dtype=torch.complex128)
    padded = torch.nn.functional.pad(torch.view_as_real(spectra), (0, 0, 1, 1)).double()
    padded = torch.view_as_complex(padded.contiguous())
    for j in range(resonators):
        offset = (j + 0.5) / resonators - 0.5
        turns = (offset - torch.arange(-1.0, 2.0, dtype=torch.float64)) * 2 * math.pi / SIZE
        tone = (window.double() * torch.exp(1j * turns[:, None] * torch.arange(SIZE))).sum(-1)
        tone = tone / tone.abs().square().sum().sqrt()
        for q in range(bins):
            pole = radius * torch.exp(torch.tensor(2j * math.pi * HOP / SIZE * (q + offset), dtype=torch.complex128))
            state = torch.zeros((), dtype=torch.complex128)
            for k in range(frames):
                state = pole * state + (1 - radius) * (tone.conj() * padded[k, q : q + 3]).sum()
                states[k, q, j] = state
    return states


def test_states_are_the_recurrence_of_each_resonator():
    torch.manual_seed(0)
    window, spectra = spectra_of(torch.randn(200))
    bank = ResonatorBank(window, HOP, 3, 0.8)
    parts = torch.view_as_real(spectra)[None]
    real, imaginary, _ = bank(parts, bank.initial_state(1))
    expected = one_by_one(spectra, window, 3, 0.8).to(torch.complex64)
    torch.testing.assert_close(torch.complex(real[0], imaginary[0]), expected, atol=1e-5, rtol=1e-5)


def test_pieces_give_the_whole():
    torch.manual_seed(0)
    window, spectra = spectra_of(torch.randn(2, 400))
    bank, parts = ResonatorBank(window, HOP, 2, 0.9), torch.view_as_real(spectra)
    whole = bank(parts, bank.initial_state(2))
    first_re, first_im, between = bank(parts[:, :5], bank.initial_state(2))
    rest_re, rest_im, _ = bank(parts[:, 5:], between)
    torch.testing.assert_close(torch.cat([first_re, rest_re], 1), whole[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(torch.cat([first_im, rest_im], 1), whole[1], atol=1e-6, rtol=1e-5)


def test_putting_back_is_the_adjoint_of_listening():
    torch.manual_seed(0)
    window, spectra = spectra_of(torch.randn(300))
    bank = ResonatorBank(window, HOP, 4, 0.0)  # without memory the states are the inner products themselves
    real, imaginary, _ = bank(torch.view_as_real(spectra)[None], bank.initial_state(1))
    other = torch.randn_like(torch.complex(real, imaginary))
    left = (torch.complex(real, imaginary).conj() * other).sum().real
    right = (spectra[None].conj() * bank.spectra(other.real, other.imag)).sum().real
    torch.testing.assert_close(left, right, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("frequency", [0.1171, 0.125, 0.2203])
def test_a_steady_tone_passes_and_noise_averages_out(frequency):
    torch.manual_seed(0)
    bank = ResonatorBank(torch.hann_window(SIZE).sqrt(), HOP, 8, 0.9)
    kept = []
    for signal in (torch.cos(2 * torch.pi * frequency * torch.arange(12800)), torch.randn(12800)):
        parts = torch.view_as_real(spectra_of(signal)[1])[None]
        real, imaginary, _ = bank(parts, bank.initial_state(1))
        loudness = (real.square() + imaginary.square())[0, 50:].mean(dim=0)
        bins = parts[0, 50:].square().sum(-1).mean(dim=0)
        at = round(frequency * SIZE)
        kept.append((loudness[at].max() / bins[at]).item())
    assert kept[0] > 0.5  # the best placed resonator is at most half its width away from the tone
    assert kept[1] < 0.25


def test_tones_have_norm_one_in_their_bins():
    seen = tone_in_bins(torch.hann_window(32).sqrt(), torch.tensor([-0.4, 0.0, 0.25]))
    torch.testing.assert_close(seen[:3].square().sum(dim=(1, 2, 3)), torch.ones(3))
