import numpy as np
import pytest
import torch

from lsm.errors import OptionError
from lsm.mixers.zoo import features
from lsm.mixers.zoo.linear_attention import KernelAttention, PerformerAttention, SpectralAttention

COUNTS = (128, 512, 2048)


def exact(query, key, value, kernel):
    weights = kernel(query[:, None], key[None])
    return weights @ value / weights.sum(1, keepdim=True)


KERNELS = {
    "softmax": lambda q, k: torch.exp((q * k).sum(-1)),
    "softmax of unit vectors": lambda q, k: torch.exp(torch.nn.functional.cosine_similarity(q, k, dim=-1)),
    "gaussian": lambda q, k: torch.exp(-(q - k).square().sum(-1) / 2),
    "polynomial": lambda q, k: ((q * k).sum(-1) + 1) ** 2,
}


def mapped(mixer, query, key, projection):
    return (part[0, 0] for part in mixer.features(query[None, None], key[None, None], projection))


def error_slope(mixer, kernel, draw):
    """How the typical error of attention falls with the number of features, over many draws; and these errors."""
    query, key = torch.randn(2, 24, 4).double().mul(0.35)
    value = torch.randn(24, 3).double()
    target, errors = exact(query, key, value, KERNELS[kernel]), []
    for count in COUNTS:
        squares = []
        for seed in range(40):
            projection = draw(count, torch.Generator().manual_seed(seed)).double()
            got = features.attend(*mapped(mixer, query, key, projection), value)
            squares.append((got - target).square().mean())
        errors.append(torch.stack(squares).median().sqrt().item())
    return np.polyfit(np.log(COUNTS), np.log(errors), 1)[0], errors


@pytest.mark.parametrize("orthogonal", [False, True])
@pytest.mark.parametrize(
    ("mixer", "kernel"),
    [
        (SpectralAttention(4, heads=1), "softmax of unit vectors"),
        (SpectralAttention(4, heads=1, kernel="gaussian"), "gaussian"),
        (PerformerAttention(4, heads=1), "softmax"),
        (KernelAttention(4, heads=1), "gaussian"),
    ],
    ids=["fourier-softmax", "fourier-gaussian", "performer", "kernel-gaussian"],
)
def test_converges_to_exact_attention(mixer, kernel, orthogonal):
    slope, errors = error_slope(
        mixer, kernel, lambda m, g: features.gaussian_projection(m, 4, orthogonal=orthogonal, generator=g)
    )
    assert -0.65 < slope < -0.35
    assert errors[-1] < 0.05


@torch.no_grad()
@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0])
def test_random_features_attend_like_exact_softmax_at_any_spread(spread):
    """Without the division by the lengths, the divisor goes through zero from a spread of about 1 on."""
    mixer = SpectralAttention(64, heads=4, num_features=1024).double()
    query, key, value = torch.randn(3, 4, 64, 16).double().mul(spread)
    query, key = query[None], key[None]
    got = features.attend(*mixer.features(query, key, mixer.projection), value[None])[0]
    unit = torch.nn.functional.normalize
    expected = torch.softmax(unit(query[0], dim=-1) @ unit(key[0], dim=-1).transpose(-1, -2), dim=-1) @ value
    assert (got - expected).norm() / expected.norm() < 0.15
    weights = mixer.features(query, key, mixer.projection)
    divisor = (weights[0] @ weights[1].sum(-2).unsqueeze(-1)) / key.shape[-2]
    assert divisor.min() > 0.1  # the kernel of unit vectors is e^-2 at least


def test_polynomial_features_converge():
    mixer = KernelAttention(4, heads=1, kernel="polynomial")
    slope, _ = error_slope(mixer, "polynomial", lambda m, g: features.sign_projection(m, 5, 2, g))
    assert -0.65 < slope < -0.35


def test_features_are_unbiased_kernels():
    x, y = torch.randn(2, 4).double().mul(0.5)
    generator = torch.Generator().manual_seed(1)
    projection = features.gaussian_projection(20_000, 4, orthogonal=True, generator=generator).double()
    trig = (features.trigonometric(x, projection) * features.trigonometric(y, projection)).sum()
    assert abs(trig - torch.exp(-(x - y).square().sum() / 2)) < 0.03
    signs = features.sign_projection(200_000, 4, 3, generator).double()
    product = (features.polynomial(x, signs) * features.polynomial(y, signs)).sum()
    assert abs(product - (x @ y) ** 3) < 0.05


def test_orthogonal_directions_at_normal_lengths():
    drawn = features.gaussian_projection(4000, 5, orthogonal=True, generator=torch.Generator().manual_seed(0))
    block = drawn[5:10]
    block = block / block.norm(dim=1, keepdim=True)
    torch.testing.assert_close(block @ block.t(), torch.eye(5), atol=1e-5, rtol=0)
    assert abs(drawn.square().sum(1).mean() - 5) < 0.2
    assert drawn.mean().abs() < 0.05
    assert features.gaussian_projection(7, 5, orthogonal=True).shape == (7, 5)


@pytest.mark.parametrize("generalized", [False, True])
def test_performer_features_are_positive(generalized):
    mixer = PerformerAttention(8, heads=2, generalized=generalized)
    query, key = torch.randn(2, 1, 2, 50, 4).mul(3)
    for part in mixer.features(query, key, mixer.projection):
        assert (part >= 0).all() and part.sum() > 0
    value = torch.rand(1, 2, 50, 4)
    mixed = features.attend(*mixer.features(query, key, mixer.projection), value)
    assert (mixed >= value.amin(-2, keepdim=True) - 1e-4).all()  # a weighted mean of the values
    assert (mixed <= value.amax(-2, keepdim=True) + 1e-4).all()


@torch.no_grad()
@pytest.mark.parametrize("kernel", ["gaussian", "polynomial", "spectral"])
def test_the_module_computes_attention_with_its_kernel(kernel):
    mixer = KernelAttention(4, heads=2, kernel=kernel, rank=4096).double()
    if kernel == "spectral":
        mixer.spectrum.normal_()
    tokens = torch.randn(1, 12, 4).double()
    q, k, v = mixer.qkv(tokens)[0].chunk(3, dim=-1)
    parts = []
    for head in range(2):
        part = slice(2 * head, 2 * head + 2)
        query, key = q[:, part] / 2**0.25, k[:, part] / 2**0.25
        if kernel == "spectral":
            angles = (query[:, None] - key[None]) @ mixer.projection.t()
            weights = (angles.cos() * torch.nn.functional.softplus(mixer.spectrum)).sum(-1)
            parts.append(weights @ v[:, part] / weights.sum(1, keepdim=True))
        else:
            parts.append(exact(query, key, v[:, part], KERNELS[kernel]))
    expected = torch.cat(parts, 1) @ mixer.out_proj.weight.t() + mixer.out_proj.bias
    tolerance = 1e-9 if kernel == "spectral" else 0.03
    assert (mixer(tokens)[0] - expected).abs().max() < tolerance


@torch.no_grad()
def test_fixed_and_redrawn_features():
    tokens = torch.randn(1, 9, 8)
    fixed, redrawn = SpectralAttention(8), SpectralAttention(8, redraw=True)
    redrawn.load_state_dict(fixed.state_dict())
    assert torch.equal(SpectralAttention(8).projection, fixed.projection)  # drawn from the seed
    assert not torch.equal(SpectralAttention(8, seed=1).projection, fixed.projection)
    assert torch.equal(fixed(tokens), fixed(tokens))
    assert not torch.equal(redrawn(tokens), redrawn(tokens))
    assert torch.equal(redrawn.eval()(tokens), fixed(tokens))


def test_the_learned_spectrum_learns():
    mixer = KernelAttention(8, kernel="spectral", rank=6)
    mixer(torch.randn(1, 9, 8)).square().sum().backward()
    assert mixer.projection.grad.abs().sum() > 0 and mixer.spectrum.grad.abs().sum() > 0


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="Did you mean 'softmax'"):
        SpectralAttention(4, kernel="softmx")
    with pytest.raises(OptionError, match="at least 1 feature"):
        PerformerAttention(4, num_features=0)
    with pytest.raises(OptionError, match="degree"):
        KernelAttention(4, kernel="polynomial", degree=0)
