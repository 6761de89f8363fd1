"""The fused modulated scan, in Triton's interpreter without a GPU, against the recurrence written out."""

import pytest
import torch

from lsm.mixers.registry import build_mixer
from lsm.scan import modulated_scan
from lsm.scan.torch_version import TORCH_26

triton_modulated = pytest.importorskip("lsm.scan.triton_modulated", reason="triton is not installed")

# Triton 3.2 comes with torch 2.6, which takes the composition where a gradient is asked for.
gradients = pytest.mark.skipif(TORCH_26, reason="the gradient of the kernels needs Triton 3.3 (torch 2.7)")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CHUNK = 4
LENGTHS = (1, 2, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK * CHUNK + CHUNK + 1)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(triton_modulated, "TILE", CHUNK * 2)
    monkeypatch.setattr("lsm.scan.triton_scan.TILE", CHUNK * 2)  # of up to 2 lanes


def draw(batch, length, width, dtype=torch.float64):
    """Inputs, decay and gates as views of one softmax, and the phase."""
    inputs = torch.randn(batch, length, 2 * width, dtype=torch.float64)
    modulation = torch.rand(batch, length, 4 * width, dtype=torch.float64)
    phase = torch.polar(torch.full((width,), 0.9), torch.rand(width)).to(torch.complex128)
    tensors = (inputs, modulation, phase.real.clone(), phase.imag.clone())
    return [item.to(DEVICE, dtype).requires_grad_() for item in tensors]


def call(tensors, order, reverse, backend):
    inputs, modulation, re, im = tensors
    decay, gates = modulation.split([re.numel(), 3 * re.numel()], dim=-1)
    return modulated_scan(inputs, decay, (re, im), gates, order, reverse=reverse, backend=backend)


def written_out(tensors, order, reverse):
    inputs, modulation, re, im = tensors
    width, (batch, length) = re.numel(), inputs.shape[:2]
    u, rho = torch.complex(inputs[..., :width], inputs[..., width:]), torch.complex(re, im)
    m, m_in, m_re, m_im = modulation.chunk(4, dim=-1)
    rows = []
    for image in range(batch):
        visits = list(range(length)) if order is None else order.expand(batch, length)[image].tolist()
        state, found = torch.zeros(width, dtype=u.dtype, device=u.device), [None] * length
        for token in reversed(visits) if reverse else visits:
            state = rho * m[image, token] * state + m_in[image, token] * u[image, token]
            found[token] = torch.cat([m_re[image, token] * state.real, m_im[image, token] * state.imag])
        rows.append(torch.stack(found))
    return torch.stack(rows)


def orders(batch, length):
    one = torch.stack([torch.randperm(length) for _ in range(batch)]).to(DEVICE)
    return {"none": None, "shared": one[0], "each": one}


@gradients
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["none", "shared", "each"])
@pytest.mark.parametrize("length", LENGTHS)
def test_outputs_and_gradients_equal_the_recurrence(length, kind, reverse):
    tensors, order = draw(2, length, 2), orders(2, length)[kind]
    expected = written_out(tensors, order, reverse)
    weight = torch.randn_like(expected)
    theirs = torch.autograd.grad((expected * weight).sum(), tensors)
    for backend in ("composed", "fused"):
        actual = call(tensors, order, reverse, backend)
        assert (actual - expected).abs().max() < 1e-11
        ours = torch.autograd.grad((actual * weight).sum(), tensors)
        for left, right in zip(ours, theirs, strict=True):
            assert (left - right).abs().max() < 1e-10


@gradients
def test_more_states_than_lanes_and_single_precision(monkeypatch):
    monkeypatch.setattr("lsm.scan.triton_scan.LANES", 2)
    tensors = draw(1, 7, 3)
    order = orders(1, 7)["each"]
    single = [item.detach().float().requires_grad_() for item in tensors]
    results = [call(tensors, order, False, "composed"), call(single, order, False, "fused")]
    grads = [torch.autograd.grad(y.square().sum(), x) for y, x in zip(results, (tensors, single), strict=True)]
    assert (results[0] - results[1]).abs().max() < 1e-5
    assert all((p - q).abs().max() < 1e-4 for p, q in zip(*grads, strict=True))


@gradients
def test_a_half_drive_gives_a_half_result_computed_in_single_precision():
    inputs, *others = draw(2, 6, 2, torch.float32)
    half = [inputs.detach().bfloat16().requires_grad_(), *others]
    exact = [item.detach().double().requires_grad_() for item in half]
    actual, expected = call(half, None, False, "fused"), call(exact, None, False, "composed")
    assert actual.dtype == torch.bfloat16
    # One unit in the last place: the interpreter cuts where a GPU rounds.
    assert ((actual - expected).abs() <= torch.finfo(torch.bfloat16).eps * expected.abs()).all()
    ours, theirs = (torch.autograd.grad(y.float().sum(), x) for y, x in ((actual, half), (expected, exact)))
    for left, right, source in zip(ours, theirs, half, strict=True):
        assert left.dtype == source.dtype
        assert (left - right).abs().max() <= torch.finfo(left.dtype).eps * right.abs().max() * 4


@gradients
def test_nothing_is_left_unwritten(monkeypatch):
    original = torch.Tensor.new_empty

    def poisoned(self, *shape, **options):
        made = original(self, *shape, **options)
        return made.fill_(float("nan")) if made.is_floating_point() else made

    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned)
    for length in (1, CHUNK + 1):
        tensors = draw(2, length, 1)
        y = call(tensors, orders(2, length)["each"], True, "fused")
        assert y.isfinite().all()
        assert all(grad.isfinite().all() for grad in torch.autograd.grad(y.sum(), tensors))


@gradients
def test_the_operators_are_registered_soundly():
    inputs, modulation, re, im = draw(2, 6, 2, torch.float32)
    decay, gates = (part.detach().clone().requires_grad_() for part in modulation.split([2, 6], dim=-1))
    phase = torch.stack([re, im]).detach().requires_grad_()
    order = orders(2, 6)["each"]
    torch.library.opcheck(torch.ops.lsm.modulated_scan, (inputs, decay, gates, phase, order, False))
    plain = [item.detach() for item in (inputs, decay, gates, phase)]
    _, re, im = torch.ops.lsm.modulated_scan(*plain, order, False)
    torch.library.opcheck(
        torch.ops.lsm.modulated_scan_backward, (torch.randn_like(plain[0]), *plain, order, re, im, False)
    )


@gradients
@pytest.mark.parametrize(
    "options",
    [{}, {"scan_order": "cross"}, {"mode": "gated", "scan_order": "category"}],
    ids=["paper", "cross", "gated"],
)
def test_the_mixer_computes_the_same_with_either(monkeypatch, options):
    mixer = build_mixer("cml", 8, d_state=2, recurrence={"categories": "argmax", **options}).to(DEVICE)
    tokens = torch.randn(1, 6, 8, device=DEVICE)
    results = []
    for backend in ("composed", "fused"):
        monkeypatch.setattr(
            "lsm.mixers.recurrent.modulated_scan",
            lambda *args, backend=backend, **kwargs: modulated_scan(*args, backend=backend, **kwargs),
        )
        y = mixer(tokens, (2, 3))
        results.append([y, *torch.autograd.grad(y.square().sum(), list(mixer.parameters()), allow_unused=True)])
    for left, right in zip(*results, strict=True):
        assert (left is None) == (right is None)
        assert left is None or (left - right).abs().max() < 1e-5


@pytest.mark.parametrize("length", LENGTHS)
def test_without_a_gradient_the_kernels_need_no_new_triton(length):
    tensors, order = draw(2, length, 2), orders(2, length)["each"]
    with torch.no_grad():
        assert (call(tensors, order, True, "fused") - written_out(tensors, order, True)).abs().max() < 1e-11


@pytest.mark.skipif(not TORCH_26, reason="later ones have the gradient")
def test_torch_26_has_no_gradient_of_the_kernels():
    with pytest.raises(ValueError, match="composed"):
        call(draw(1, 4, 2), None, False, "fused")


def test_an_unknown_backend_is_named():
    inputs, modulation, re, im = draw(1, 4, 2)
    decay, gates = modulation.split([2, 6], dim=-1)
    with pytest.raises(ValueError, match="Did you mean 'fused'"):
        modulated_scan(inputs, decay, (re, im), gates, backend="fuse")
