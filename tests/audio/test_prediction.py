import numpy as np
import pytest
import torch

from lsm.audio.prediction import continuation
from lsm.audio.synthesis import simple_pair


def test_tones_go_on():
    time = torch.arange(5000.0)
    signal = torch.sin(0.2 * time) + 0.5 * torch.cos(0.71 * time + 1)
    predicted = continuation(signal[None, :4600], 400)[0]
    error = (predicted - signal[4600:]).square().mean() / signal.square().mean()
    assert error < 0.02


def test_tones_in_noise_go_on_better_than_as_zeros():
    for seed in range(4):
        noisy, clean = (torch.from_numpy(x) for x in simple_pair(np.random.default_rng(seed), 8000, 16000))
        predicted = continuation(noisy[None, :7616], 384)[0]
        assert (predicted - clean[7616:]).square().mean() < 0.2 * clean[7616:].square().mean()


def test_noise_fades_out():
    torch.manual_seed(0)
    predicted = continuation(torch.randn(3, 4000), 400)
    assert predicted[:, 300:].square().mean() < 0.1


@pytest.mark.parametrize("length", [1, 2, 30, 3000])
def test_silence_and_short_signals(length):
    assert torch.equal(continuation(torch.zeros(2, length), 10), torch.zeros(2, 10))
    loud = continuation(1e3 * torch.ones(2, length), 500)
    assert loud.shape == (2, 500)
    assert loud.abs().max() < 2e3


def test_signals_of_a_batch_are_predicted_each_for_itself():
    torch.manual_seed(0)
    signals = torch.randn(3, 500)
    alone = torch.cat([continuation(signal[None], 20) for signal in signals])
    torch.testing.assert_close(continuation(signals, 20), alone)
