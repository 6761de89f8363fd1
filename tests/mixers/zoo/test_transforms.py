import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import torch

from lsm.errors import OptionError
from lsm.mixers.registry import build_mixer
from lsm.mixers.zoo.spectral_attention import LSTAttention, MixedSpectralAttention
from lsm.mixers.zoo.transforms import TRANSFORMS, hadamard_matrix

LENGTHS = [1, 2, 3, 4, 5, 8, 13, 32]


def cosines(length):
    n, k = np.arange(length)[None], np.arange(length)[:, None]
    matrix = np.sqrt(2 / length) * np.cos(np.pi * (n + 0.5) * k / length)
    matrix[0] /= np.sqrt(2)
    return matrix


def sines(length):
    """Type 2, orthogonal; SciPy 1.11's own halves the square of the first coefficient in place of the last."""
    n, k = np.arange(length)[None], np.arange(length)[:, None]
    matrix = np.sqrt(2 / length) * np.sin(np.pi * (n + 0.5) * (k + 1) / length)
    matrix[-1] /= np.sqrt(2)
    return matrix


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("name", "matrix"), [("dct", cosines), ("dst", sines)])
def test_cosines_and_sines_against_their_matrices(name, matrix, length):
    got = TRANSFORMS[name].forward(torch.eye(length, dtype=torch.float64)[None], 1)[0]
    np.testing.assert_allclose(got, matrix(length), atol=1e-12)


@pytest.mark.parametrize("length", LENGTHS)
def test_cosines_against_scipy(length):
    signal = torch.randn(2, length, 3).double()
    expected = scipy.fft.dct(signal.numpy(), type=2, norm="ortho", axis=1)
    np.testing.assert_allclose(TRANSFORMS["dct"].forward(signal, 1), expected, atol=1e-10)


@pytest.mark.parametrize("length", [1, 2, 4, 8, 16, 32, 64, 512])
def test_hadamard_against_its_matrix(length):
    signal = torch.randn(length, 2).double()
    matrix = scipy.linalg.hadamard(length)
    got = TRANSFORMS["hadamard"].forward(signal[None], 1)[0]
    np.testing.assert_allclose(got, matrix @ signal.numpy() / np.sqrt(length), atol=1e-10)
    assert (hadamard_matrix(length, signal).numpy() == matrix).all()


def test_hadamard_fills_up_with_zeros():
    signal = torch.randn(1, 11, 2).double()
    padded = np.pad(signal[0].numpy(), ((0, 5), (0, 0)))
    got = TRANSFORMS["hadamard"].forward(signal, 1)[0]
    np.testing.assert_allclose(got, scipy.linalg.hadamard(16) @ padded / 4, atol=1e-10)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("length", LENGTHS)
def test_unitary_and_invertible(name, length):
    transform, signal = TRANSFORMS[name], torch.randn(2, 3, length, 4)
    coefficients = transform.forward(signal, 2)
    assert abs(coefficients.abs().square().sum() / signal.square().sum() - 1) < 1e-4
    back = transform.inverse(coefficients, 2)[:, :, :length]
    torch.testing.assert_close(back.real if back.is_complex() else back, signal, atol=1e-5, rtol=1e-4)
    if name != "hadamard" or length & (length - 1) == 0:
        matrix = transform.forward(torch.eye(length).double()[None], 1)[0]
        identity = torch.eye(length, dtype=matrix.dtype)
        torch.testing.assert_close(matrix.conj().t() @ matrix, identity, atol=1e-10, rtol=0)


@pytest.mark.parametrize("size", [(1, 6), (3, 4), (5, 7)])
@pytest.mark.parametrize("name", ["dct", "dst", "hadamard"])
def test_attention_against_its_equation(name, size):
    mixer, (height, width) = build_mixer(name, 6, heads=2).double(), size
    mixer.scale.data.normal_()
    tokens = torch.randn(1, height * width, 6).double()
    reference = {
        "dct": (
            lambda x: scipy.fft.dctn(x, axes=(0, 1), norm="ortho"),
            lambda x: scipy.fft.idctn(x, axes=(0, 1), norm="ortho"),
        ),
        "dst": (
            lambda x: np.einsum("uh,vw,hwc->uvc", sines(height), sines(width), x),
            lambda x: np.einsum("uh,vw,uvc->hwc", sines(height), sines(width), x),
        ),
        "hadamard": (walsh, walsh),
    }
    forward, inverse = reference[name]
    with torch.no_grad():
        q, k, v = (part.unflatten(1, size)[0].numpy() for part in mixer.qkv(tokens).chunk(3, dim=-1))
        gate = forward(q) * forward(k)
        gate = gate / np.sqrt((gate**2).mean((0, 1)) + 1e-6)
        mixed = inverse(gate * forward(v) * mixer.scale.numpy())[:height, :width]
        expected = mixed.reshape(-1, 6) @ mixer.out_proj.weight.numpy().T + mixer.out_proj.bias.numpy()
        np.testing.assert_allclose(mixer(tokens, size)[0].numpy(), expected, atol=1e-9)


def walsh(image):
    """Transform both axes by matrices, after filling up with zeros."""
    for axis in (0, 1):
        count = 1 << (image.shape[axis] - 1).bit_length()
        pad = [(0, 0)] * 3
        pad[axis] = (0, count - image.shape[axis])
        matrix = scipy.linalg.hadamard(count) / np.sqrt(count)
        image = np.moveaxis(np.tensordot(matrix, np.pad(image, pad), (1, axis)), 0, axis)
    return image


@torch.no_grad()
def test_mixed_heads_are_those_of_each_transform():
    tokens = torch.randn(1, 20, 12)
    mixed = MixedSpectralAttention(12, heads=3)
    assert mixed.groups == [("fft", 1), ("dct", 1), ("hadamard", 1)]
    qkv = mixed.qkv(tokens)
    for index, name in enumerate(("fft", "dct", "hadamard")):
        single = LSTAttention(12, heads=3, transform=name)
        part = slice(4 * index, 4 * index + 4)
        torch.testing.assert_close(mixed.attend(qkv, (4, 5))[..., part], single.attend(qkv, (4, 5))[..., part])
    assert MixedSpectralAttention(8, use_fft=False).groups == [("dct", 2), ("hadamard", 2)]


def test_options():
    assert LSTAttention(8, learnable_scale=False).scale is None
    with pytest.raises(OptionError, match="all are switched off"):
        MixedSpectralAttention(8, use_fft=False, use_dct=False, use_hadamard=False)
    with pytest.raises(OptionError, match="Did you mean 'hadamard'"):
        LSTAttention(8, transform="hadamart")
