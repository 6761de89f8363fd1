import math

import numpy as np
import pytest
import scipy.signal
import torch

from lsm.errors import OptionError
from lsm.mixers.zoo.filters import AdaptiveGlobalFilter, GlobalFilterMixing, GlobalFilterMixing2D
from lsm.mixers.zoo.response import BANDS
from lsm.mixers.zoo.spectrum import resample


def random_filter(mixer):
    mixer.filter.weight.data.normal_()
    return mixer.double().eval()


def circular_convolution(signal, kernel):
    """By the definition, in the space domain, one tap at a time."""
    return sum(kernel[tap] * np.roll(signal, tap, axis=tuple(range(signal.ndim))) for tap in np.ndindex(kernel.shape))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 6), (5, 4), (7, 7)])
@pytest.mark.parametrize("kind", [GlobalFilterMixing2D, AdaptiveGlobalFilter])
def test_convolution_theorem_of_images(kind, size):
    mixer = random_filter(kind(3, height=4, width=6))
    tokens = torch.randn(1, size[0] * size[1], 3).double()
    with torch.no_grad():
        mixed = mixer(tokens, size)[0].unflatten(0, size)
        factors = torch.view_as_complex(mixer.filter.pairs(size).detach())
    kernel = np.fft.irfft2(factors.numpy(), s=size, axes=(0, 1))
    for c in range(3):
        expected = circular_convolution(tokens[0, :, c].view(size).numpy(), kernel[..., c])
        np.testing.assert_allclose(mixed[..., c].numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("length", [1, 2, 9, 16, 21])
@pytest.mark.parametrize(
    ("kind", "options"), [(GlobalFilterMixing, {"length": 9}), (AdaptiveGlobalFilter, {"height": 9})]
)
def test_convolution_theorem_of_sequences(kind, options, length):
    mixer = random_filter(kind(2, sequence=True, **options))
    tokens = torch.randn(1, length, 2).double()
    with torch.no_grad():
        mixed = mixer(tokens)[0]
        factors = torch.view_as_complex(mixer.filter.pairs((length,)).detach())
    kernel = np.fft.irfft(factors.numpy(), n=length, axis=0)
    for c in range(2):
        expected = circular_convolution(tokens[0, :, c].numpy(), kernel[:, c])
        np.testing.assert_allclose(mixed[:, c].numpy(), expected, atol=1e-10)


def test_convolution_theorem_over_tokens_and_channels():
    mixer = random_filter(GlobalFilterMixing2D(5, sequence=True, height=8))
    tokens = torch.randn(1, 8, 5).double()
    with torch.no_grad():
        mixed = mixer(tokens)[0]
        kernel = np.fft.irfft2(torch.view_as_complex(mixer.filter.pairs((8, 5)).detach())[..., 0].numpy(), s=(8, 5))
    np.testing.assert_allclose(mixed.numpy(), circular_convolution(tokens[0].numpy(), kernel), atol=1e-10)


@pytest.mark.parametrize("trained", [(8, 6), (7, 9)])
@pytest.mark.parametrize("size", [(16, 12), (5, 11), (1, 1), (2, 40)])
def test_resampled_filters_are_linear_in_frequency(trained, size):
    """Interpolation must reproduce a filter that is linear in |f| between the trained frequencies, and its symmetry."""
    rows = np.abs(np.fft.fftfreq(trained[0]))
    columns = np.fft.rfftfreq(trained[1])
    weight = torch.from_numpy(rows[:, None] * 2 + columns[None])[..., None]
    got = resample(weight, trained, size)[..., 0].numpy()
    grid_rows = np.arange(trained[0] + 1) / trained[0]
    expected_rows = np.interp(np.arange(size[0]) / size[0], grid_rows, np.append(rows, 0.0))
    expected_columns = np.interp(np.fft.rfftfreq(size[1]), columns, columns)
    np.testing.assert_allclose(got, expected_rows[:, None] * 2 + expected_columns[None], atol=1e-12)
    assert resample(weight, trained, trained) is weight


@pytest.mark.parametrize(
    ("activation", "function"), [("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("identity", lambda x: x)]
)
def test_activation_of_the_filter(activation, function):
    mixer = GlobalFilterMixing(3, length=8, activation=activation)
    torch.testing.assert_close(mixer.filter.pairs((8,)), function(mixer.filter.weight))


def test_adaptive_start_penalty_and_dropout():
    mixer = AdaptiveGlobalFilter(64, height=16, width=16, std=0.1, cutoff=0.25, regularization=0.5)
    frequency = mixer.filter.frequencies()
    expected = np.sqrt(np.fft.fftfreq(16)[:, None] ** 2 + np.fft.rfftfreq(16)[None] ** 2)
    np.testing.assert_allclose(frequency.numpy(), expected, atol=1e-7)
    spread = mixer.filter.weight.detach().std(dim=(2, 3))
    assert ((spread * (1 + frequency / 0.25) - 0.1).abs() < 0.03).all()
    assert math.isclose(mixer.penalty().item(), 0.5 * mixer.filter.weight.square().mean().item() * 2, rel_tol=1e-5)
    mixer.penalty().backward()
    assert mixer.filter.weight.grad.abs().min() > 0
    dropping = AdaptiveGlobalFilter(64, spectral_dropout_p=0.25)
    factors = dropping.factors((16, 16))
    gone = (factors == 0).all(-1)
    assert 0.2 < gone.float().mean() < 0.3
    torch.testing.assert_close(factors[~gone], dropping.filter.weight[~gone] / 0.75)
    assert torch.equal(dropping.eval().factors((16, 16)), dropping.filter.weight)


@pytest.mark.parametrize("length", [9, 16])
def test_frequency_response_against_scipy(length):
    mixer = random_filter(GlobalFilterMixing(2, length=length))
    response = mixer.frequency_response()
    factors = torch.view_as_complex(mixer.filter.weight.detach()).numpy()
    for c in range(2):
        kernel = np.fft.irfft(factors[:, c], n=length)
        omega, expected = scipy.signal.freqz(kernel, worN=2 * np.pi * np.fft.rfftfreq(length))
        np.testing.assert_allclose(response.magnitude[:, c], np.abs(expected), atol=1e-10)
        np.testing.assert_allclose(np.exp(1j * response.phase[:, c].numpy()), expected / np.abs(expected), atol=1e-9)
        # scipy's filters start at 0, ours in the middle.
        causal = np.fft.fftshift(kernel)
        _, delay = scipy.signal.group_delay((causal, [1.0]), w=omega)
        np.testing.assert_allclose(response.group_delay[0, :, c], delay - length // 2, atol=1e-6)


def test_energy_by_band():
    mixer = random_filter(GlobalFilterMixing2D(2, height=8, width=7))
    factors = torch.view_as_complex(mixer.filter.weight.detach()).numpy()
    energy = np.abs(np.fft.fft2(np.fft.irfft2(factors, s=(8, 7), axes=(0, 1)), axes=(0, 1))) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(8), np.fft.fftfreq(7), indexing="ij"))
    band = np.minimum((radius / np.hypot(0.5, 0.5) * BANDS).astype(int), BANDS - 1)
    got = mixer.frequency_response().band_energy
    torch.testing.assert_close(got.sum(0), torch.ones(2).double())
    for b in range(BANDS):
        np.testing.assert_allclose(got[b].numpy(), energy[band == b].sum(0) / energy.sum((0, 1)), atol=1e-6)


def test_a_shift_delays_every_frequency_alike():
    mixer = GlobalFilterMixing2D(1, height=8, width=8)
    kernel = torch.zeros(8, 8)
    kernel[1, 6] = 1  # one row down, two columns to the left
    mixer.filter.weight.data = torch.view_as_real(torch.fft.rfft2(kernel))[:, :, None]
    delay = mixer.frequency_response().group_delay
    torch.testing.assert_close(delay[0], torch.full_like(delay[0], 1.0))
    torch.testing.assert_close(delay[1], torch.full_like(delay[1], -2.0))


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="Did you mean 'tanh'"):
        GlobalFilterMixing(4, activation="tan")
    with pytest.raises(OptionError, match="positive"):
        GlobalFilterMixing2D(4, height=0)
    with pytest.raises(OptionError, match="spectral_dropout_p"):
        AdaptiveGlobalFilter(4, spectral_dropout_p=1.0)
