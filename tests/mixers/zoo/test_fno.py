import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lsm.errors import OptionError
from lsm.mixers.zoo.fno import AFNOMixing, FNOBlock, FourierNeuralOperator, SpectralConv1d, SpectralConv2d

SIZES = [(1, 1), (1, 6), (2, 3), (4, 5), (5, 4), (7, 8)]


def dft(length):
    """The Fourier matrix, and the frequency of each of its rows between −n/2 and n/2."""
    k = np.arange(length)
    frequency = np.where(k < (length + 1) // 2, k, k - length)
    return np.exp(-2j * np.pi * np.outer(frequency, k) / length), frequency


def dense(image, maps):
    """Apply `maps[ky, kx]` to the spectrum of an image (H, W, C) by whole matrices, and take the real part back.

    Frequencies kx < 0 are those of a real signal: the conjugates.
    """
    (rows, ky), (columns, kx) = dft(image.shape[0]), dft(image.shape[1])
    spectrum = np.einsum("yi,xj,ijc->yxc", rows, columns, image)
    out = np.zeros_like(spectrum)
    for y, x in np.ndindex(spectrum.shape[:2]):
        if kx[x] >= 0 and (ky[y], kx[x]) in maps:
            out[y, x] = maps[ky[y], kx[x]](spectrum[y, x])
    # The half transform back takes real parts at kx = 0 and n/2, and twice the real part elsewhere.
    half = np.einsum("yi,yxc->ixc", rows.conj(), out) / len(rows)
    result = np.zeros(image.shape)
    for x, k in enumerate(kx):
        if k < 0 and (2 * -k != len(kx)):
            continue
        twice = 1 if k == 0 or 2 * abs(k) == len(kx) else 2
        wave = np.exp(2j * np.pi * k * np.arange(len(kx)) / len(kx)) / len(kx)
        result += twice * (half[:, x][:, None] * wave[None, :, None]).real
    return result


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("blocks", [1, 3])
def test_spectral_convolution_against_dense_matrices(size, blocks):
    modes = 2
    mixer = SpectralConv2d(3, modes=modes, blocks=blocks).double()
    weight = torch.view_as_complex(mixer.weight).numpy()
    maps = {}
    for row, ky in enumerate((0, 1, -2, -1)):
        for kx in range(modes):
            matrix = weight[row * modes + kx]
            full = matrix[0] if blocks == 1 else np.diag(matrix[:, 0, 0])
            maps[ky, kx] = lambda v, full=full: v @ full
    # A frequency of −n/2 is the same as n/2; the mixer calls it negative.
    for n in (size[0],):
        if n % 2 == 0 and n // 2 < modes:
            maps = {key: m for key, m in maps.items() if key[0] != n // 2}
    tokens = torch.randn(1, size[0] * size[1], 3).double()
    expected = dense(tokens[0].unflatten(0, size).numpy(), maps)
    np.testing.assert_allclose(mixer(tokens, size)[0].unflatten(0, size).numpy(), expected, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 5, 8, 13])
def test_spectral_convolution_of_sequences(length):
    mixer, tokens = SpectralConv1d(3, sequence=True, modes=3).double(), torch.randn(1, length, 3).double()
    weight = torch.view_as_complex(mixer.weight).numpy()[:, 0]
    spectrum = np.fft.rfft(tokens[0].numpy(), axis=0)
    out = np.zeros_like(spectrum)
    for k in range(min(3, len(spectrum))):
        out[k] = spectrum[k] @ weight[k]
    np.testing.assert_allclose(mixer(tokens)[0].numpy(), np.fft.irfft(out, n=length, axis=0), atol=1e-10)
    same = SpectralConv2d(3, sequence=True, modes=3).double()
    same.load_state_dict(mixer.state_dict())
    assert torch.equal(same(tokens), mixer(tokens))


@torch.no_grad()
@pytest.mark.parametrize("kind", [SpectralConv2d, FourierNeuralOperator, FNOBlock])
def test_independent_of_the_resolution(kind):
    """The same smooth pattern, sampled finer, gives the same values at the shared points."""
    mixer = kind(2, modes=3, **({"norm": "none"} if kind is FNOBlock else {})).double().eval()
    results = []
    for factor in (1, 2, 3):
        y, x = (np.arange(n * factor) / (n * factor) * 2 * np.pi for n in (8, 10))
        wave = np.sin(2 * y)[:, None] + np.cos(x)[None] + 0.3 * np.sin(y[:, None] + 2 * x[None])
        image = torch.from_numpy(np.stack([wave, wave**1 * 0.5 - 1], -1))
        mixed = mixer(image.flatten(0, 1)[None], image.shape[:2])[0].unflatten(0, image.shape[:2])
        results.append(mixed[::factor, ::factor])
    # The activation makes new, higher frequencies, but only after the convolution.
    torch.testing.assert_close(results[1], results[0], atol=1e-9, rtol=0)
    torch.testing.assert_close(results[2], results[0], atol=1e-9, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("activation", ["gelu", "relu", "silu", "identity"])
def test_operator_and_block_against_their_equations(activation):
    tokens, size = torch.randn(1, 30, 4), (5, 6)
    act = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu, "identity": lambda x: x}[activation]
    operator = FourierNeuralOperator(4, activation=activation)
    torch.testing.assert_close(operator(tokens, size), act(operator.linear(tokens) + operator.conv(tokens, size)))
    for norm in ("layer", "none"):
        block = FNOBlock(4, activation=activation, norm=norm)
        normed = (lambda x: F.layer_norm(x, (4,))) if norm == "layer" else (lambda x: x)
        first = tokens + block.operator(normed(tokens), size)
        torch.testing.assert_close(block(tokens, size), first + block.mlp(normed(first)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 2, 5, 8])
@pytest.mark.parametrize("modes", [0, 2])
def test_afno_against_a_dense_reference(length, modes):
    mixer = AFNOMixing(3, sequence=True, modes=modes, mlp_ratio=2.0, activation="relu", threshold=0.3).double()
    mixer.bias1.normal_(std=0.3)
    mixer.bias2.normal_(std=0.3)
    tokens = torch.randn(1, length, 3).double()
    matrix = np.exp(-2j * np.pi * np.outer(np.arange(length), np.arange(length)) / length) / np.sqrt(length)
    spectrum = matrix @ tokens[0].numpy()
    first, second = (torch.view_as_complex(w).numpy() for w in (mixer.weight1, mixer.weight2))
    bias = [torch.complex(*b.chunk(2)).numpy() for b in (mixer.bias1, mixer.bias2)]
    out = np.zeros_like(spectrum)
    for k in range(min(modes or length, length // 2 + 1)):
        hidden = spectrum[k] @ first + bias[0]
        hidden = np.maximum(hidden.real, 0) + 1j * np.maximum(hidden.imag, 0)
        result = hidden @ second + bias[1]
        shrink = lambda v: np.sign(v) * np.maximum(np.abs(v) - 0.3, 0)  # noqa: E731
        out[k] = shrink(result.real) + 1j * shrink(result.imag)
        if k == 0 or 2 * k == length:
            out[k] = out[k].real
        out[-k % length] = out[k].conj()
    expected = (matrix.conj().T @ out).real
    np.testing.assert_allclose(mixer(tokens)[0].numpy(), expected, atol=1e-10)


@torch.no_grad()
def test_afno_over_channel_frequencies():
    mixer = AFNOMixing(6, sequence=True, modes=2, modes_channels=3, activation="identity", threshold=0.0).double()
    for weight in (mixer.weight1, mixer.weight2):
        weight.copy_(torch.view_as_real(torch.eye(3, dtype=torch.complex128)))
    tokens = torch.randn(1, 8, 6).double()
    spectrum = np.fft.rfft2(tokens[0].numpy())
    spectrum[2:-2] = 0
    spectrum[:, 3:] = 0
    np.testing.assert_allclose(mixer(tokens)[0].numpy(), np.fft.irfft2(spectrum, s=(8, 6)), atol=1e-10)


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="at least 1 mode"):
        SpectralConv1d(4, modes=0)
    with pytest.raises(OptionError, match="do not divide"):
        SpectralConv2d(4, blocks=3)
    with pytest.raises(OptionError, match="modes_channels"):
        AFNOMixing(4, modes_channels=4)
    with pytest.raises(OptionError, match="Did you mean 'gelu'"):
        FourierNeuralOperator(4, activation="glu")
    with pytest.raises(OptionError, match="norm of an FNO block"):
        FNOBlock(4, norm="batch")
    with pytest.raises(OptionError, match="at least 1"):
        AFNOMixing(4, mlp_ratio=0.1)
