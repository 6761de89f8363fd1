import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm.errors import OptionError
from lsm.sequence import LRUUNet


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("length", [1, 5, 64])
def test_interface(factor, length):
    network = LRUUNet(d_model=4, d_state=3, n_layers=2, downsample_factor=factor)
    assert network(torch.randn(2, 4, length)).shape == (2, 4, length)


def test_stages_double_the_channels_and_have_an_lru_each():
    network = LRUUNet(4, 3, 2, 2)
    assert [stage.mixer.d_model for stage in network.encoder] == [4, 8]
    assert network.bottleneck.mixer.d_model == 16
    assert [stage.mixer.d_state for stage in network.decoder] == [3, 3]
    norms = [stage.norm for stage in (*network.encoder, network.bottleneck, *network.decoder)]
    assert [isinstance(norm, torch.nn.LayerNorm) for norm in norms] == [True, True, True, False, True]


@settings(max_examples=25, deadline=None)
@given(
    chunks=st.lists(st.integers(0, 23), min_size=1, max_size=8),
    factor=st.sampled_from([2, 3, 4]),
    n_layers=st.integers(1, 3),
)
def test_streaming_in_chunks_of_any_size_is_the_whole_sequence(chunks, factor, n_layers):
    torch.manual_seed(1)
    network = LRUUNet(4, 5, n_layers, factor, causal=True).eval()
    sequence = torch.randn(2, 4, max(1, sum(chunks)))
    state, outputs, start = network.initial_state(2), [], 0
    with torch.no_grad():
        for size in [*chunks, sequence.shape[-1] - sum(chunks)]:
            out, state = network.stream(sequence[..., start : start + size], state)
            outputs.append(out)
            start += size
        torch.testing.assert_close(torch.cat(outputs, dim=-1), network(sequence), atol=1e-5, rtol=1e-5)


def test_streaming_needs_a_causal_network():
    with pytest.raises(OptionError, match="causal=True"):
        LRUUNet(4, 3, 1, 2).initial_state(1)
