import pytest
import torch
from torch import nn

from lsm.errors import OptionError
from lsm.sequence import UNet1d, build_unet
from lsm.sequence.unet1d import KINDS, Downsample, Upsample


@pytest.mark.parametrize("factor", [2, 3])
def test_sampling_layers_are_strided_convolutions(factor):
    tokens = torch.randn(2, 4 * factor, 3)
    down, up = Downsample(3, factor), Upsample(3, factor)
    plain_down, plain_up = nn.Conv1d(3, 6, factor, factor), nn.ConvTranspose1d(6, 3, factor, factor)
    plain_down.load_state_dict(down.state_dict())
    plain_up.load_state_dict(up.state_dict())
    coarse = plain_down(tokens.transpose(1, 2))
    torch.testing.assert_close(down(tokens), coarse.transpose(1, 2), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(up(coarse.transpose(1, 2)), plain_up(coarse).transpose(1, 2), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 7, 8, 29])
def test_any_length(kind, length):
    network = build_unet(kind, 4, 2, 2, d_state=3)
    outputs = network(torch.randn(2, 4, length))
    assert outputs.shape == (2, 4, length)
    assert outputs.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_layers", "factor"), [(1, 2), (2, 2), (2, 3), (1, 4)])
def test_causal_networks_do_not_look_ahead(kind, n_layers, factor):
    network = build_unet(kind, 4, n_layers, factor, causal=True, d_state=3).eval()
    sequence = torch.randn(1, 4, 40)
    outputs = network(sequence)
    for time in (0, 1, 11, 26, 39):
        changed = sequence.clone()
        changed[..., time:] += torch.randn(1, 4, 40 - time)
        difference = (network(changed) - outputs).abs().amax(dim=(0, 1))
        assert difference[:time].sum() < 1e-4
        assert difference[time] > 1e-4


def test_without_causal_the_network_does_look_ahead():
    network = build_unet("lru", 4, 2, 2, d_state=3)
    sequence = torch.randn(1, 4, 16)
    changed = sequence.clone()
    changed[..., 3] += 1
    assert (network(changed) - network(sequence))[..., :3].abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind):
    network = build_unet(kind, 4, 2, 2, d_state=3)
    network(torch.randn(2, 4, 33)).square().mean().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_fusion_reads_every_scale():
    network = build_unet("multiscale", 4, 3, 2)
    assert [fusion.in_features for fusion in network.fusions] == [4 + 8 + 16 + width for width in (4, 8, 16)]


def test_bad_numbers_are_refused():
    with pytest.raises(OptionError, match="downsample_factor"):
        UNet1d(4, 2, 1, nn.Linear)
    with pytest.raises(OptionError, match="Did you mean 'dilated'"):
        build_unet("dilate", 4, 2, 2)
