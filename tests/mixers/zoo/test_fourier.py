import numpy as np
import pytest
import scipy.fft
import torch

from lsm.errors import OptionError
from lsm.mixers.zoo.fourier import FourierMixing, FourierMixing1D, RealFourierMixing, SeparableFourierMixing

SIZES = [(1, 1), (1, 6), (6, 1), (5, 7), (8, 6), (12, 9)]


@pytest.mark.parametrize("norm", ["ortho", "forward", "backward"])
@pytest.mark.parametrize(("length", "dim"), SIZES)
def test_against_numpy(length, dim, norm):
    tokens = torch.randn(2, length, dim).double()
    both = np.fft.fft2(tokens.numpy(), axes=(1, 2), norm=norm).real
    along = np.fft.fft(tokens.numpy(), axis=1, norm=norm).real
    across = scipy.fft.fft(tokens.numpy(), axis=2, norm=norm).real
    for mixer, expected in (
        (FourierMixing(dim, norm=norm), both),
        (RealFourierMixing(dim, norm=norm), both),
        (RealFourierMixing(dim, norm=norm, dimensions=1), along),
        (FourierMixing1D(dim, norm=norm), along),
        (SeparableFourierMixing(dim, norm=norm), both),
        (SeparableFourierMixing(dim, norm=norm, mix_features=False), along),
        (SeparableFourierMixing(dim, norm=norm, mix_sequence=False), across),
    ):
        np.testing.assert_allclose(mixer(tokens).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("kind", [FourierMixing, FourierMixing1D, SeparableFourierMixing])
def test_the_complex_spectrum_can_be_kept(kind):
    tokens = torch.randn(1, 6, 5)
    mixer = kind(5, keep_complex=True)
    spectrum = mixer(tokens)
    assert spectrum.is_complex() and not mixer.properties.real_output
    torch.testing.assert_close(spectrum.real, kind(5)(tokens))
    energy = spectrum.abs().square().sum() / tokens.square().sum()
    assert abs(energy - 1) < 1e-4 and mixer.properties.energy_preserving
    assert not kind(5).properties.energy_preserving
    assert not kind(5, keep_complex=True, norm="backward").properties.energy_preserving


def test_dropout_acts_in_training_only():
    tokens = torch.randn(1, 50, 8)
    for options in ({}, {"keep_complex": True}):
        mixer = FourierMixing(8, dropout=0.5, **options)
        dropped = (mixer(tokens) == 0).float().mean()
        assert 0.3 < dropped < 0.7
        assert (mixer.eval()(tokens) == 0).float().mean() < 0.01


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="Did you mean 'ortho'"):
        FourierMixing(4, norm="orto")
    with pytest.raises(OptionError, match="both are off"):
        SeparableFourierMixing(4, mix_features=False, mix_sequence=False)
    with pytest.raises(OptionError, match="1 or 2"):
        RealFourierMixing(4, dimensions=3)
