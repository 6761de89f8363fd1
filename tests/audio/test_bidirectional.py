import pytest
import torch

from lsm.audio.bidirectional import BidirectionalDenoiser


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return BidirectionalDenoiser(window=16, hop=4, d_model=6, d_state=5).eval()


def test_it_is_the_mean_of_both_directions(network):
    noisy = torch.randn(2, 1, 50)
    backwards = network.one_way(noisy.flip(-1)).flip(-1)
    torch.testing.assert_close(network(noisy), (network.one_way(noisy) + backwards) / 2)


def test_time_has_no_direction(network):
    noisy = torch.randn(1, 1, 61)
    torch.testing.assert_close(network(noisy.flip(-1)), network(noisy).flip(-1))


@pytest.mark.parametrize("length", [1, 5, 16])
def test_any_length(network, length):
    assert network(torch.randn(1, 1, length)).shape == (1, 1, length)
