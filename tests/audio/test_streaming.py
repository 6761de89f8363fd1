import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm.audio.streaming import StreamingDenoiser


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return StreamingDenoiser(window=16, hop=4, d_model=6, d_state=5, n_layers=2).eval()


def test_frames_add_up_to_the_signal():
    network = StreamingDenoiser(window=16, hop=4, d_model=4, d_state=3)
    with torch.no_grad():
        network.local_out.weight.zero_()
        network.local_out.bias.zero_()
        network.local_out.bias[0] = 1.0
    signal = torch.randn(2, 1, 53)
    torch.testing.assert_close(network(signal), signal, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(chunks=st.lists(st.integers(0, 33), min_size=1, max_size=8))
def test_streaming_in_chunks_of_any_size_is_the_whole_signal(network, chunks):
    torch.manual_seed(1)
    signal = torch.randn(2, 1, max(1, sum(chunks)))
    state, outputs = network.initial_state(2), []
    with torch.no_grad():
        for chunk in signal.split([*chunks, signal.shape[-1] - sum(chunks)], dim=-1):
            out, state = network.stream(chunk, state)
            outputs.append(out)
        outputs.append(network.finish(state))
        streamed = torch.cat(outputs, dim=-1)[..., network.latency :]
        assert 0 <= streamed.shape[-1] - signal.shape[-1] < network.hop
        torch.testing.assert_close(streamed[..., : signal.shape[-1]], network(signal), atol=1e-5, rtol=1e-5)


def test_a_stream_without_samples_ends_without_samples(network):
    assert network.finish(network.initial_state(2)).shape == (2, 1, 0)


def test_output_waits_one_window_and_no_longer(network):
    signal = torch.randn(1, 1, 80)
    changed = signal.clone()
    changed[..., 40:] += 1
    difference = (network(changed) - network(signal))[0, 0].abs()
    assert difference[: 40 - network.window + 1].max() < 1e-5
    assert difference[40 - network.window + 1 : 40].max() > 1e-4


def test_level_of_the_signal_does_not_matter(network):
    signal = torch.randn(1, 1, 64)
    torch.testing.assert_close(network(0.01 * signal), 0.01 * network(signal), atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("length", [1, 3, 16, 17])
def test_any_length_and_silence(network, length):
    assert network(torch.zeros(1, 1, length)).isfinite().all()
    assert network(torch.randn(2, 1, length)).shape == (2, 1, length)
