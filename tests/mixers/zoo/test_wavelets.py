import numpy as np
import pytest
import torch

from lsm.errors import OptionError
from lsm.mixers.zoo.wavelet_mixing import WaveletMixing, WaveletMixing2D
from lsm.mixers.zoo.wavelets import analyse, filter_pair, synthesise, wavelet_taps

pywt = pytest.importorskip("pywt")

NAMES = ["haar", *(f"db{n}" for n in range(1, 21)), *(f"sym{n}" for n in range(2, 21))]


@pytest.mark.parametrize("name", NAMES)
def test_taps_against_pywavelets(name):
    np.testing.assert_allclose(wavelet_taps(name), pywt.Wavelet(name).rec_lo, atol=1e-9)


@pytest.mark.parametrize("name", ["haar", "db2", "db5", "sym4", "sym7"])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 16, 21])
def test_one_level_against_pywavelets_and_back(name, length):
    signal = torch.randn(2, length, 3).double()
    pair = filter_pair(name, signal)
    low, high = analyse(signal, pair, 1)
    expected_low, expected_high = pywt.dwt(signal.numpy(), name, mode="periodization", axis=1)
    np.testing.assert_allclose(low, expected_low, atol=1e-9)
    sign = 1 if np.sign(pywt.Wavelet(name).dec_hi[0]) == np.sign(pair[1].flip(0)[0].item()) else -1
    np.testing.assert_allclose(high, sign * expected_high, atol=1e-9)
    torch.testing.assert_close(synthesise(low, high, pair, 1, length), signal)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 8), (16, 12), (13, 11)])
@pytest.mark.parametrize("levels", [1, 3])
def test_image_subbands_against_pywavelets_and_back(size, levels):
    mixer = WaveletMixing2D(2, wavelet="db3", levels=levels).double()
    tokens = torch.randn(1, size[0] * size[1], 2).double()
    bands = mixer.transform(tokens, size)
    coarse = tokens[0].unflatten(0, size).numpy()
    for level in bands:
        coarse, (horizontal, vertical, diagonal) = pywt.dwt2(coarse, "db3", mode="periodization", axes=(0, 1))
        for band, expected in zip(level[0], (horizontal, vertical, diagonal), strict=False):
            difference = min(abs(band.numpy() - sign * expected).max() for sign in (1, -1))
            assert difference < 1e-9
    np.testing.assert_allclose(bands[-1][0, 3], coarse, atol=1e-9)
    torch.testing.assert_close(mixer.inverse(bands, size), tokens)


@pytest.mark.parametrize("length", [8, 13, 64])
def test_levels_against_pywavelets_and_back(length):
    mixer, tokens = WaveletMixing(2, wavelet="sym5", levels=3).double(), torch.randn(1, length, 2).double()
    parts = mixer.transform(tokens)
    expected = pywt.wavedec(tokens.numpy(), "sym5", mode="periodization", level=3, axis=1)[::-1]
    for part, reference in zip(parts, expected, strict=True):
        assert min(abs(part.numpy() - sign * reference).max() for sign in (1, -1)) < 1e-9
    torch.testing.assert_close(mixer.inverse(parts, length), tokens)


def test_energy_is_kept_at_even_sizes():
    tokens = torch.randn(1, 16 * 24, 3)
    energy = tokens.square().sum()
    image = sum(level.square().sum() for level in WaveletMixing2D(3, levels=3).transform(tokens, (16, 24)))
    line = sum(part.square().sum() for part in WaveletMixing(3, levels=3).transform(tokens))
    assert abs(image / energy - 1) < 1e-4
    assert abs(line / energy - 1) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("mode", ["pointwise", "channel"])
def test_the_start_adds_the_input_to_itself(mode):
    tokens = torch.randn(1, 21, 4)
    torch.testing.assert_close(WaveletMixing(4, mode=mode)(tokens), 2 * tokens)


@torch.no_grad()
def test_channel_and_pointwise_weights_against_pywavelets():
    tokens = torch.randn(1, 32, 3).double()
    for mode in ("channel", "pointwise"):
        mixer = WaveletMixing(3, mode=mode, levels=2, positions=5).double()
        mixer.weight.normal_()
        parts = pywt.wavedec(tokens[0].numpy(), "db2", mode="periodization", level=2, axis=0)
        for index, weight in zip((2, 1, 0), mixer.weight.numpy(), strict=True):
            if mode == "channel":
                parts[index] = parts[index] @ weight
            else:
                places = np.linspace(0, 4, len(parts[index]))
                parts[index] = parts[index] * np.stack([np.interp(places, np.arange(5), w) for w in weight], 1)
        expected = tokens[0].numpy() + pywt.waverec(parts, "db2", mode="periodization", axis=0)
        np.testing.assert_allclose(mixer(tokens)[0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(
    "mixer",
    [
        *(WaveletMixing(8, mode=mode, levels=3) for mode in WaveletMixing.MODES),
        *(WaveletMixing2D(8, mode=mode, levels=2) for mode in WaveletMixing2D.MODES),
    ],
    ids=lambda mixer: f"{type(mixer).__name__}-{mixer.mode}",
)
@pytest.mark.parametrize("size", [(1, 1), (1, 13), (6, 5)])
def test_every_mode_at_any_size_with_gradients(mixer, size):
    tokens = torch.randn(2, size[0] * size[1], 8)
    mixed = mixer(tokens, size)
    assert mixed.shape == tokens.shape and mixed.isfinite().all()
    mixed.square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in mixer.parameters())
    double = type(mixer)(4, mode=mixer.mode).double()
    few = torch.randn(1, 6, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: double(x, (2, 3)), (few,), fast_mode=True)


@torch.no_grad()
def test_attention_across_subbands_against_torch():
    from lsm.mixers.zoo.wavelet_mixing import SubbandAttention

    attention = SubbandAttention(8, 4, 2, feed_forward=False)
    reference = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    reference.in_proj_weight.copy_(attention.qkv.weight)
    reference.in_proj_bias.copy_(attention.qkv.bias)
    reference.out_proj.load_state_dict(attention.out_proj.state_dict())
    bands = torch.randn(5, 4, 8)
    placed = bands + attention.offsets
    torch.testing.assert_close(attention(bands), reference(placed, placed, placed)[0], atol=1e-6, rtol=1e-5)


def test_bad_options_are_refused():
    for name in ("db0", "db21", "sym1", "coif2", "db"):
        with pytest.raises(OptionError, match="Unknown wavelet"):
            WaveletMixing(4, wavelet=name)
    with pytest.raises(OptionError, match="Did you mean 'channel'"):
        WaveletMixing(4, mode="chanel")
    with pytest.raises(OptionError, match="at least 1 level"):
        WaveletMixing2D(4, levels=0)
    with pytest.raises(OptionError, match="at least 1 position"):
        WaveletMixing(4, positions=0)
