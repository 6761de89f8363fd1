from functools import partial

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from lsm.scan import BACKENDS, linear_scan
from lsm.scan.op import HAS_NUMBA

# See test_triton_scan.py for "triton".
BACKENDS = [name for name in BACKENDS if name != "triton" and (name != "numba" or HAS_NUMBA)]
LENGTHS = (1, 2, 3, 7, 31, 64, 257, 1000)
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-4}


def sequential(a, b, h0, reverse=False):
    """The recurrence as it is written, on complex or real tensors in their own precision."""
    steps = range(b.shape[1])
    state, states = h0, [None] * b.shape[1]
    for k in reversed(steps) if reverse else steps:
        state = a[:, k] * state + b[:, k]
        states[k] = state
    return torch.stack(states, dim=1)


def gates(shape, dtype=torch.float64, low=0.0, high=1.0):
    radius = low + (high - low) * torch.rand(shape, dtype=dtype)
    return torch.polar(radius, 6.283 * torch.rand(shape, dtype=dtype))


def noise(shape, dtype=torch.float64):
    return torch.complex(torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
def test_complex_states_follow_the_recurrence(backend, reverse, length):
    a, b, h0 = gates((2, length, 3), low=0.9), noise((2, length, 3)), noise((2, 3))
    for start in (None, h0):
        expected = sequential(a, b, torch.zeros_like(h0) if start is None else start, reverse)
        actual = linear_scan(a, b, start, reverse=reverse, backend=backend)
        assert (actual - expected).abs().max() < TOLERANCE[torch.float64]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", LENGTHS)
def test_real_states_follow_the_recurrence(backend, length):
    a, b, h0 = torch.rand(1, length, 5).double(), torch.randn(1, length, 5).double(), torch.randn(1, 5).double()
    expected = sequential(a, b, h0)
    assert (linear_scan(a, b, h0, backend=backend) - expected).abs().max() < TOLERANCE[torch.float64]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [65, 4096])
def test_transitions_close_to_one_in_single_precision(backend, length):
    a, b = gates((1, length, 4), low=0.99), noise((1, length, 4))
    expected = sequential(a, b, torch.zeros(1, 4, dtype=torch.complex128))
    actual = linear_scan(a.to(torch.complex64), b.to(torch.complex64), backend=backend)
    assert (actual - expected).abs().max() / expected.abs().max() < TOLERANCE[torch.float32]


@pytest.mark.parametrize("backend", BACKENDS)
def test_zero_transitions_forget(backend):
    b = noise((2, 50, 3))
    assert torch.equal(linear_scan(torch.zeros_like(b), b, backend=backend), b)


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_a_long_sequence_neither_overflows_nor_drifts(backend):
    length = 200_000
    a, b = torch.full((1, length, 1), 0.999), torch.ones(1, length, 1)
    last = linear_scan(a, b, backend=backend)[0, -1, 0].item()
    assert abs(last - 1000) < 0.5  # 1 / (1 - 0.999)


@pytest.mark.parametrize("backend", BACKENDS)
def test_non_contiguous_and_broadcast_arguments(backend):
    scan = partial(linear_scan, backend=backend)
    a, b = gates((3, 4, 40)).transpose(1, 2), noise((40, 3, 4)).transpose(0, 1)
    zero = torch.zeros(3, 4, dtype=torch.complex128)
    assert (scan(a, b) - sequential(a, b, zero)).abs().max() < TOLERANCE[torch.float64]
    assert (scan(a.conj(), b) - sequential(a.conj(), b, zero)).abs().max() < TOLERANCE[torch.float64]
    constant = gates((4,))
    expected = sequential(constant.expand(3, 40, 4), b, zero)
    assert (scan(constant, b) - expected).abs().max() < TOLERANCE[torch.float64]
    scalar = gates((3, 40, 1))
    expected = sequential(scalar.expand(3, 40, 4), b, zero)
    assert (scan(scalar, b) - expected).abs().max() < TOLERANCE[torch.float64]
    chunks = torch.randn(3, 40, 16, dtype=torch.float64)[:, 1::2].chunk(4, dim=-1)
    expected = sequential(torch.complex(*chunks[:2]), torch.complex(*chunks[2:]), zero)
    assert (torch.complex(*scan(chunks[:2], chunks[2:])) - expected).abs().max() < TOLERANCE[torch.float64]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_gradients_against_finite_differences(backend, reverse, length):
    batch = 2 if length <= 2 else 1  # differences are taken for every number, twice
    a, b, h0 = gates((batch, length, 2)), noise((batch, length, 2)), noise((batch, 2))
    planes = [p.clone().requires_grad_() for t in (a, b, h0) for p in (t.real, t.imag)]

    def scan(a_re, a_im, b_re, b_im, h_re, h_im):
        return linear_scan((a_re, a_im), (b_re, b_im), (h_re, h_im), reverse=reverse, backend=backend)

    assert gradcheck(scan, planes)
    assert gradgradcheck(scan, planes)
    assert gradcheck(lambda a_, b_: linear_scan(a_, b_, reverse=reverse, backend=backend), (planes[0], planes[2]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_agree_with_autograd_through_the_loop(backend):
    a, b = gates((2, 130, 3), low=0.95), noise((2, 130, 3))
    weight = noise((2, 130, 3))
    grads = []
    for scan in (
        partial(linear_scan, backend=backend),
        lambda x, y: sequential(x, y, torch.zeros(2, 3, dtype=x.dtype)),
    ):
        leaves = [a.clone().requires_grad_(), b.clone().requires_grad_()]
        (scan(*leaves) * weight).real.sum().backward()
        grads.append([leaf.grad for leaf in leaves])
    for ours, theirs in zip(*grads, strict=True):
        assert (ours - theirs).abs().max() / theirs.abs().max() < 1e-12


def test_gradient_of_a_constant_transition_is_summed_over_time():
    a, b = torch.rand(3, dtype=torch.float64, requires_grad=True), torch.randn(2, 8, 3, dtype=torch.float64)
    assert gradcheck(lambda x: linear_scan(x, b), a)


def test_single_precision_inside_autocast():
    a, b = torch.rand(1, 100, 4), torch.randn(1, 100, 4)
    with torch.autocast("cpu", torch.bfloat16):
        inside = linear_scan(a.bfloat16(), b.bfloat16())
    assert inside.dtype == torch.float32
    assert torch.equal(inside, linear_scan(a.bfloat16().float(), b.bfloat16().float()))


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_every_output_is_written(backend, monkeypatch):
    original = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda self, *s, **k: original(self, *s, **k).fill_(float("nan")))
    for length in LENGTHS:
        assert linear_scan(torch.rand(1, length, 2), torch.randn(1, length, 2), backend=backend).isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_the_operator_is_registered_soundly(backend):
    a, b = torch.rand(2, 6, 3, requires_grad=True), torch.randn(2, 6, 3, requires_grad=True)
    torch.library.opcheck(torch.ops.lsm.linear_scan, (a, None, b, None, None, None, False, backend))
    h = torch.randn(2, 3)
    torch.library.opcheck(torch.ops.lsm.linear_scan, (a, a, b, b, h, h, True, backend))


def test_forms_of_the_result_and_bad_arguments():
    real, pair = torch.rand(1, 4, 2), (torch.rand(1, 4, 2), torch.rand(1, 4, 2))
    assert isinstance(linear_scan(real, pair), tuple)
    assert linear_scan(real, torch.complex(*pair)).is_complex()
    assert not linear_scan(real, real).is_complex()
    with pytest.raises(ValueError, match="blocked"):
        linear_scan(real, real, backend="bloked")
    with pytest.raises(ValueError, match="fit"):
        linear_scan(torch.rand(1, 5, 2), real)
    with pytest.raises(ValueError, match="L at least 1"):
        linear_scan(torch.rand(1, 0, 2), torch.rand(1, 0, 2))
