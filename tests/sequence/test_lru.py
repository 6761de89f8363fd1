import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm.errors import OptionError
from lsm.mixers.recurrence import RecurrenceConfig
from lsm.mixers.recurrent import ModulatedLRU
from lsm.scan.parameters import eigenvalues, initial_eigenvalues
from lsm.sequence import LRU

NAMES = {"nu_log": "N", "theta_log": "N", "gamma_log": "N", "B_re": "NH", "B_im": "NH", "C_re": "HN", "C_im": "HN"}


def numpy_lru(layer: LRU, inputs: np.ndarray) -> np.ndarray:
    """Compute the equations of the paper in complex128, step by step."""
    p = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}
    lam = np.exp(-np.exp(p["nu_log"]) + 1j * np.exp(p["theta_log"]))
    gamma = np.exp(p["gamma_log"]) if "gamma_log" in p else 1.0
    B, C = p["B_re"] + 1j * p["B_im"], p["C_re"] + 1j * p["C_im"]
    state, outputs = np.zeros(len(lam), complex), []
    for u in inputs:
        state = lam * state + gamma * (B @ u)
        outputs.append((C @ state).real + p["D"] * u)
    return np.stack(outputs)


@pytest.mark.parametrize("method", ["scan", "fft"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("length", [1, 2, 37, 400])
def test_forward_is_the_papers_recurrence(method, normalize, length):
    layer = LRU(5, 7, r_max=0.999, normalize=normalize, method=method)
    inputs = torch.randn(2, length, 5)
    expected = np.stack([numpy_lru(layer, item.double().numpy()) for item in inputs])
    torch.testing.assert_close(layer(inputs), torch.tensor(expected, dtype=torch.float32), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["scan", "fft"])
def test_steps_and_pieces_give_the_whole_sequence(method):
    layer = LRU(4, 6, r_min=0.9, r_max=0.999, method=method)
    inputs = torch.randn(3, 50, 4)
    whole = layer(inputs)
    state, steps = layer.initial_state(3), []
    for k in range(50):
        out, state = layer.step(inputs[:, k], state)
        steps.append(out)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=1e-5, rtol=1e-5)
    first, carried = layer.scan(inputs[:, :17])
    second, end = layer.scan(inputs[:, 17:], carried)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(end, state, atol=1e-5, rtol=1e-5)


def test_auto_agrees_with_both_paths_on_each_side_of_its_threshold():
    layer = LRU(3, 16)
    for length in (1000, 1100):
        inputs = torch.randn(1, length, 3)
        automatic = layer(inputs)
        for layer.method in ("scan", "fft"):
            torch.testing.assert_close(layer(inputs), automatic, atol=2e-5, rtol=1e-5)
        layer.method = "auto"


@pytest.mark.parametrize("method", ["scan", "fft"])
def test_gradients(method):
    layer = LRU(2, 3, r_min=0.5, r_max=0.9, method=method).double()
    inputs = torch.randn(2, 6, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(inputs, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (inputs,))

    assert torch.autograd.gradcheck(run, (inputs, *layer.parameters()))


def test_state_dict_has_the_names_and_shapes_of_lrnnx():
    sizes = {"N": 7, "H": 5}
    foreign = {name: torch.randn([sizes[axis] for axis in axes]) for name, axes in {**NAMES, "D": "H"}.items()}
    layer = LRU(5, 7)
    layer.load_state_dict(foreign)
    assert {name: tuple(value.shape) for name, value in layer.state_dict().items()} == {
        name: tuple(value.shape) for name, value in foreign.items()
    }
    assert "gamma_log" not in LRU(5, 7, normalize=False).state_dict()


def test_initial_values_fill_the_ring():
    nu_log, theta_log, gamma_log = initial_eigenvalues(100_000, 0.6, 0.9, 3.0)
    re, im = eigenvalues(nu_log, theta_log)
    radius_sq = re**2 + im**2
    assert 0.36 - 1e-4 <= radius_sq.min() <= radius_sq.max() <= 0.81 + 1e-4
    assert radius_sq.mean() == pytest.approx((0.36 + 0.81) / 2, abs=2e-3)  # uniform in area
    assert theta_log.exp().mean() == pytest.approx(1.5, abs=0.02)
    torch.testing.assert_close(gamma_log.exp(), (1 - radius_sq).sqrt(), atol=1e-4, rtol=1e-4)


@settings(max_examples=200, deadline=None)
@given(nu=st.floats(-1e30, 80), theta=st.floats(-80, 80))
def test_stable_whatever_the_parameters(nu, theta):
    re, im = eigenvalues(torch.tensor([nu]), torch.tensor([theta]))
    assert float(re.double() ** 2 + im.double() ** 2) < 1.0


def test_a_million_steps_stay_finite():
    layer = LRU(1, 4, r_min=0.9, r_max=1.0)
    with torch.no_grad():
        layer.nu_log[0] = -1e4  # as slow a decay as there is
        outputs, state = layer.scan(torch.ones(1, 1_000_000, 1))
    assert outputs.isfinite().all()
    assert all(part.isfinite().all() for part in state)


def test_the_recurrence_of_images_has_the_same_parametrisation():
    core = ModulatedLRU(4, 6, RecurrenceConfig())
    torch.testing.assert_close(core.transition(), eigenvalues(core.nu_log, core.theta_log), atol=0, rtol=0)


def test_unknown_method_is_named():
    with pytest.raises(OptionError, match="Did you mean 'scan'"):
        LRU(2, 2, method="scam")
