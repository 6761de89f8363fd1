"""The kernels of the GPU, else in Triton's interpreter, against the time loop; small tiles make many chunks."""

import os
import subprocess
import sys

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from lsm.scan import linear_scan
from lsm.scan.api import default_backend

triton_scan = pytest.importorskip("lsm.scan.triton_scan", reason="triton is not installed")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CHUNK = 4
LENGTHS = (1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, CHUNK * CHUNK + CHUNK + 1)
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 1e-5, torch.float16: 1e-5}


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(triton_scan, "TILE", CHUNK * 4)  # of up to 4 lanes


def draw(shape, planes, dtype=torch.float64):
    """Transitions below 1, inputs and an initial state, as planes."""
    batch, _, width = shape
    a = tuple(0.7 * torch.rand(shape, dtype=torch.float64).to(DEVICE, dtype) for _ in range(planes))
    b = tuple(torch.randn(shape, dtype=torch.float64).to(DEVICE, dtype) for _ in range(planes))
    h0 = tuple(torch.randn(batch, width, dtype=torch.float64).to(DEVICE, dtype) for _ in range(planes))
    return (a, b, h0) if planes == 2 else (a[0], b[0], h0[0])


def leaves(*values):
    """List the tensors in a nest of tuples."""
    return [leaf for value in values for leaf in (value if isinstance(value, tuple) else (value,))]


def double(value):
    return tuple(map(double, value)) if isinstance(value, tuple) else value.detach().double().requires_grad_()


def relative(actual, expected):
    return (actual - expected).abs().max().item() / max(expected.abs().max().item(), 1e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize("length", LENGTHS)
def test_states_and_gradients_equal_those_of_the_loop(length, planes, reverse):
    dtype = torch.float32 if reverse and planes == 2 else torch.float64  # the interpreter is slow: not every pairing
    a, b, h0 = draw((2, length, 3), planes, dtype)
    for start in (None, h0) if length <= CHUNK + 1 else (h0,):  # of which the first chunk alone knows
        arguments = [a, b] if start is None else [a, b, start]
        for leaf in leaves(*arguments):
            leaf.requires_grad_()
        exact = [double(item) for item in arguments]
        expected = leaves(linear_scan(*exact, reverse=reverse, backend="reference"))
        actual = leaves(linear_scan(*arguments, reverse=reverse, backend="triton"))
        weights = [torch.randn_like(plane) for plane in expected]
        for ours, theirs in zip(actual, expected, strict=True):
            assert ours.dtype == dtype
            assert relative(ours, theirs) < TOLERANCE[dtype]
        losses = [sum((p * w).sum() for p, w in zip(planes_, weights, strict=True)) for planes_ in (actual, expected)]
        ours = torch.autograd.grad(losses[0], leaves(*arguments))
        theirs = torch.autograd.grad(losses[1], leaves(*exact))
        for left, right in zip(ours, theirs, strict=True):
            assert (left - right).abs().max() / max(grad.abs().max() for grad in theirs) < TOLERANCE[dtype]


def test_the_chunk_that_is_used_does_not_matter():
    a, b, h0 = draw((1, 37, 5), 2)
    states = [triton_scan.scan_triton(a, b, h0, False, chunk) for chunk in (2, 8, 64)]
    for other in states[1:]:
        assert all(relative(p, q) < 1e-12 for p, q in zip(other, states[0], strict=True))


def test_more_states_than_a_program_has_lanes(monkeypatch):
    monkeypatch.setattr(triton_scan, "LANES", 2)
    a, b, h0 = draw((2, 11, 5), 2)
    expected = linear_scan(a, b, h0, backend="reference")
    assert all(relative(*pair) < 1e-12 for pair in zip(linear_scan(a, b, h0, backend="triton"), expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_read_as_they_are_and_computed_in_single_precision(dtype):
    a, b, h0 = draw((1, 9, 3), 2, dtype)
    for leaf in leaves(a, b, h0):
        leaf.requires_grad_()
    exact = [double(item) for item in (a, b, h0)]
    actual, expected = linear_scan(a, b, h0, backend="triton"), linear_scan(*exact, backend="reference")
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == torch.float32
        assert relative(ours, theirs) < TOLERANCE[dtype]
    ours = torch.autograd.grad(actual[0].sum() + 2 * actual[1].sum(), leaves(a, b, h0))
    theirs = torch.autograd.grad(expected[0].sum() + 2 * expected[1].sum(), leaves(*exact))
    for left, right in zip(ours, theirs, strict=True):
        assert left.dtype == dtype
        assert relative(left, right) < torch.finfo(dtype).eps


def test_any_strides():
    a, b = draw((2, 10, 3), 1)[:2]
    wide = torch.randn(2, 10, 6, dtype=torch.float64, device=DEVICE)
    constant = torch.rand(3, dtype=torch.float64, device=DEVICE, requires_grad=True)
    transposed = a.transpose(1, 2).contiguous().transpose(1, 2)
    for gate, pair in ((constant, wide.chunk(2, dim=-1)), (transposed, (b, b))):
        expected = linear_scan(gate, pair, backend="reference")
        actual = linear_scan(gate, pair, backend="triton")
        assert all(relative(*planes) < 1e-12 for planes in zip(actual, expected, strict=True))
    (ours,) = torch.autograd.grad(linear_scan(constant, b, backend="triton").square().sum(), constant)
    (theirs,) = torch.autograd.grad(linear_scan(constant, b, backend="reference").square().sum(), constant)
    assert relative(ours, theirs) < 1e-12


def test_transitions_close_to_one():
    length = 40
    a = 1 - 0.01 * torch.rand(1, length, 2, device=DEVICE)
    b = torch.randn(1, length, 2, device=DEVICE)
    expected = linear_scan(a.double(), b.double(), backend="reference")
    assert relative(linear_scan(a, b, backend="triton"), expected) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_against_finite_differences(reverse):
    a, b, h0 = draw((1, CHUNK + 1, 1), 2)
    planes = [plane.requires_grad_() for plane in leaves(a, b, h0)]

    def scan(a_re, a_im, b_re, b_im, h_re, h_im):
        return linear_scan((a_re, a_im), (b_re, b_im), (h_re, h_im), reverse=reverse, backend="triton")

    assert gradcheck(scan, planes, fast_mode=True)
    assert gradgradcheck(scan, planes, fast_mode=True)


def test_every_output_is_written(monkeypatch):
    original = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda self, *s, **k: original(self, *s, **k).fill_(float("nan")))
    for length in LENGTHS:
        a, b, _ = draw((2, length, 3), 1)
        states = linear_scan(a.requires_grad_(), b.requires_grad_(), backend="triton")
        assert states.isfinite().all()
        assert all(grad.isfinite().all() for grad in torch.autograd.grad(states.sum(), (a, b)))


@pytest.mark.parametrize("is_complex", [False, True])
def test_the_operators_are_registered_soundly(is_complex):
    a, b, h0 = (leaves(item) for item in draw((2, 5, 2), 2, torch.float32))
    forward = [a[0], a[1], b[0], b[1], h0[0], h0[1]] if is_complex else [a[0], None, b[0], None, None, None]
    for tensor in forward:
        if tensor is not None:
            tensor.requires_grad_()
    torch.library.opcheck(torch.ops.lsm.linear_scan, (*forward, True, "triton"))
    grad, state = torch.randn(2, 2, 5, 2, device=DEVICE).unbind(), torch.randn(2, 2, 5, 2, device=DEVICE).unbind()
    second = [(p[1] if is_complex else None) for p in (grad, state)]
    arguments = (grad[0], second[0], *(None if p is None else p.detach() for p in (*forward[:2], *forward[4:])),
                 state[0], second[1], True)  # fmt: skip
    torch.library.opcheck(torch.ops.lsm.linear_scan_backward, arguments)


def test_automatic_choice():
    assert default_backend(torch.device("cuda")) == "triton"
    assert default_backend(torch.device("cpu")) != "triton"


def test_a_device_without_kernels_is_refused_in_one_sentence():
    program = "import torch, lsm; x = torch.rand(1, 4, 2); lsm.linear_scan(x, x, backend='triton')"
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    assert "ValueError: The scan backend 'triton' needs tensors on a CUDA device, not on cpu" in done.stderr
