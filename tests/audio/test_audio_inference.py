import pytest
import torch

from lsm.audio.checkpoint import Denoiser
from lsm.audio.denoiser import UNetLRUAudio
from lsm.audio.inference import CausalStream, OverlapStream, denoise_multiple, denoise_single, open_stream
from lsm.audio.offset import remove_offset
from lsm.audio.streaming import StreamingDenoiser
from lsm.errors import InputError, OptionError


@pytest.fixture(scope="module")
def waveform():
    torch.manual_seed(0)
    return Denoiser(UNetLRUAudio(features=[4, 8]).eval())


@pytest.fixture(scope="module")
def causal():
    torch.manual_seed(0)
    return Denoiser(StreamingDenoiser(window=64, hop=16, d_model=6, d_state=5).eval())


@pytest.mark.parametrize("shape", [(50,), (2, 50), (3, 2, 50), (1,)])
def test_shapes(waveform, causal, shape):
    signal = torch.randn(shape)
    for denoiser in (waveform, causal):
        assert denoise_single(denoiser, signal).shape == shape


def test_channels_are_signals_of_their_own(waveform):
    signal = torch.randn(2, 200) * torch.tensor([[1.0], [0.01]])
    both = denoise_single(waveform, signal)
    for channel in (0, 1):
        torch.testing.assert_close(both[channel], denoise_single(waveform, signal[channel]), atol=1e-6, rtol=1e-4)


def test_level_is_carried_through(waveform):
    signal = torch.randn(300)
    torch.testing.assert_close(
        denoise_single(waveform, 0.01 * signal), 0.01 * denoise_single(waveform, signal), atol=1e-6, rtol=1e-4
    )


def test_bad_signals(waveform):
    for bad in (
        torch.zeros(0),
        torch.tensor([1.0, float("nan")]),
        torch.ones(4, dtype=torch.int16),
        torch.zeros(1, 1, 1, 4),
    ):
        with pytest.raises(InputError):
            denoise_single(waveform, bad)
    with pytest.raises(InputError, match="Signal 1"):
        denoise_multiple(waveform, [torch.zeros(3), torch.zeros(0)])
    assert [len(out) for out in denoise_multiple(waveform, [torch.ones(3), torch.ones(70)])] == [3, 70]


def run(stream, signal, sizes):
    start, outputs = 0, []
    for size in sizes:
        outputs.append(stream.push(signal[:, start : start + size]))
        start += size
    outputs.append(stream.push(signal[:, start:]))
    return torch.cat([*outputs, stream.finish()], dim=1)


@pytest.mark.parametrize("sizes", [[], [0, 1, 999], [320] * 6, [7, 640, 13]])
def test_causal_stream_is_the_whole_signal(causal, sizes):
    signal = torch.randn(2, 2017)
    streamed = run(open_stream(causal, 2), signal, sizes)
    torch.testing.assert_close(streamed, denoise_single(causal, signal[:, None])[:, 0], atol=1e-5, rtol=1e-5)


def test_causal_stream_of_a_short_signal(causal):
    for length in (0, 1, 15, 64):
        assert run(open_stream(causal, 1), torch.randn(1, length), []).shape == (1, length)


@pytest.mark.parametrize("length", [1, 299, 300, 301, 500, 501, 1234])
@pytest.mark.parametrize("sizes", [[], [100] * 5, [1, 400]])
def test_overlapping_chunks_cover_the_signal(waveform, length, sizes):
    identity = Denoiser(Identity())
    signal = torch.zeros(2, length)  # of mean zero in every chunk, since offsets are removed
    signal[:, : length // 2 * 2 : 2] = torch.randn(2, length // 2)
    signal[:, 1::2] = -signal[:, : length // 2 * 2 : 2]
    out = run(OverlapStream(identity, 2, chunk=300, overlap=100), signal, sizes)
    torch.testing.assert_close(out, signal, atol=1e-5, rtol=1e-5)


def test_overlapping_chunks_depend_on_the_signal_alone(waveform):
    signal = torch.randn(1, 1500)
    streams = [OverlapStream(waveform, 1, chunk=400, overlap=100) for _ in range(2)]
    torch.testing.assert_close(run(streams[0], signal, [3, 777]), run(streams[1], signal, []), atol=1e-5, rtol=1e-5)


def test_only_causal_networks_stream(waveform):
    assert isinstance(open_stream(waveform, 1), OverlapStream)
    with pytest.raises(OptionError, match="looks ahead"):
        CausalStream(waveform, 1)


@pytest.mark.parametrize("name", ["causal", "waveform"])
def test_an_offset_changes_nothing(name, request):
    denoiser = request.getfixturevalue(name)
    signal = 0.1 * torch.randn(1, 64000)
    one, other = (denoise_single(denoiser, signal + offset)[0] for offset in (0.0, 0.5))
    # A running mean needs a while.
    start, share = (32000, 0.02) if name == "causal" else (0, 0.001)
    assert (one - other)[start:].abs().max() < share * one.std()


def test_a_running_mean_is_the_same_in_blocks_and_as_float64():
    signal = torch.randn(2, 3000) + 0.3
    whole, _ = remove_offset(signal)
    state, parts = None, []
    for block in signal.split([0, 1, 999, 2000], dim=1):
        part, state = remove_offset(block, state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)
    total = weight = 0.0
    for index, value in enumerate(signal[0].double().tolist()):
        total, weight = total * (1 - 1 / 32000) + value, weight * (1 - 1 / 32000) + 1
        assert whole[0, index].item() == pytest.approx(
            value - total / (weight + 400 * (1 - 1 / 32000) ** (4 * index + 4)), abs=1e-4
        )


def test_numbers_that_are_too_large_are_an_error(causal, waveform):
    signal = torch.zeros(1, 4000)
    signal[0, 2000] = 1e25
    for denoiser in (causal, waveform):
        with pytest.raises(InputError, match="far too large"):
            denoise_single(denoiser, signal)
        with pytest.raises(InputError, match="far too large"):
            run(open_stream(denoiser, 1), signal, [])


class Identity(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, noisy):
        return noisy
