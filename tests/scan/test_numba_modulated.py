"""The modulated scan as a compiled loop, against the recurrence written out and, bit for bit, the composition."""

import pytest
import torch

from lsm.mixers.registry import build_mixer
from lsm.scan import modulated_scan

pytest.importorskip("numba", reason="numba (extra `fast`) is not installed")


def draw(batch, length, width, dtype):
    """Inputs, decay and gates as views of one softmax, and the phase."""
    inputs = torch.randn(batch, length, 2 * width, dtype=dtype)
    modulation = torch.rand(batch, length, 4 * width, dtype=dtype)
    decay, gates = modulation.split([width, 3 * width], dim=-1)
    phase = torch.polar(torch.full((width,), 0.9, dtype=dtype), torch.rand(width, dtype=dtype))
    return inputs, decay, (phase.real, phase.imag), gates


def written_out(inputs, decay, phase, gates, order, reverse):
    batch, length, width = decay.shape
    u, rho = torch.complex(*inputs.chunk(2, dim=-1)), torch.complex(*phase)
    m_in, m_re, m_im = gates.chunk(3, dim=-1)
    y = torch.empty_like(inputs)
    for image in range(batch):
        visits = list(range(length)) if order is None else order.expand(batch, length)[image].tolist()
        state = torch.zeros(width, dtype=u.dtype)
        for token in reversed(visits) if reverse else visits:
            state = rho * decay[image, token] * state + m_in[image, token] * u[image, token]
            y[image, token] = torch.cat([m_re[image, token] * state.real, m_im[image, token] * state.imag])
    return y


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["none", "shared", "each"])
@pytest.mark.parametrize(("length", "width"), [(1, 1), (1, 16), (7, 3), (64, 16), (33, 20)])
def test_it_is_the_recurrence_with_the_bits_of_the_composition(length, width, kind, reverse):
    orders = torch.stack([torch.randperm(length) for _ in range(3)])
    order = {"none": None, "shared": orders[0], "each": orders}[kind]
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        tensors = draw(3, length, width, dtype)
        loop, composed = (
            modulated_scan(*tensors, order, reverse=reverse, backend=name) for name in ("numba", "composed")
        )
        assert (loop - written_out(*tensors, order, reverse)).abs().max() < tolerance
        assert torch.equal(loop, composed)


def test_inputs_may_be_views_of_any_kind():
    inputs, decay, phase, gates = draw(2, 12, 4, torch.float32)
    expected = modulated_scan(inputs, decay, phase, gates, backend="composed")
    turned = [item.transpose(0, 2).contiguous().transpose(0, 2) for item in (inputs, decay, gates)]
    assert torch.equal(modulated_scan(turned[0], turned[1], phase, turned[2], backend="numba"), expected)
    order = torch.randperm(24)[::2].argsort()
    strided = torch.stack([order, order], dim=1)[:, 0]
    assert not strided.is_contiguous()
    assert torch.equal(
        modulated_scan(inputs, decay, phase, gates, strided, backend="numba"),
        modulated_scan(inputs, decay, phase, gates, order, backend="composed"),
    )


def test_the_operator_is_registered_soundly():
    inputs, decay, phase, gates = draw(2, 6, 2, torch.float32)
    order = torch.stack([torch.randperm(6), torch.randperm(6)])
    torch.library.opcheck(torch.ops.lsm.modulated_loop, (inputs, decay, gates, torch.stack(phase), order, False))


@pytest.mark.parametrize("scan_order", ["category", "cross"])
def test_a_mixer_gives_the_same_bits_with_and_without_gradients(monkeypatch, scan_order):
    mixer = build_mixer("cml", 12, d_state=4, recurrence={"scan_order": scan_order}).eval()
    tokens, calls = torch.randn(2, 30, 12), []
    monkeypatch.setattr("lsm.scan.modulated.modulated_loop_op", lambda *args: calls.append(1) or loop(*args))
    loop = torch.ops.lsm.modulated_loop
    expected = mixer(tokens, (5, 6))
    assert expected.requires_grad
    assert not calls
    with torch.inference_mode():
        assert torch.equal(mixer(tokens, (5, 6)), expected)
    assert calls


def test_what_the_loop_cannot_do_is_composed_or_refused():
    inputs, decay, phase, gates = draw(1, 4, 2, torch.float32)
    wanting = inputs.clone().requires_grad_()
    for first in (inputs.bfloat16(), wanting, inputs.double()):
        with pytest.raises(ValueError, match="composed"):
            modulated_scan(first, decay, phase, gates, backend="numba")
        result = modulated_scan(first, decay, phase, gates)
        assert (result.float() - modulated_scan(inputs, decay, phase, gates)).abs().max() < 0.05
    for order in (torch.tensor([0, 1, 2, 4]), torch.tensor([0, 1, 2, -1]), torch.arange(3), torch.arange(4.0)):
        with pytest.raises(ValueError, match="order"):
            modulated_scan(inputs, decay, phase, gates, order, backend="numba")
    for wrong in ((inputs[..., :3], decay, phase, gates), (inputs, decay, phase, gates[:, :3])):
        with pytest.raises(ValueError, match="do not fit"):
            modulated_scan(*wrong, backend="numba")
    with torch.no_grad():
        assert torch.equal(
            modulated_scan(wanting, decay, phase, gates, backend="numba"),
            modulated_scan(inputs, decay, phase, gates),
        )
    modulated_scan(wanting, decay, phase, gates).sum().backward()
    assert wanting.grad is not None
