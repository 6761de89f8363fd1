import math

import pytest
import torch

from lsm.mixers.base import to_image
from lsm.mixers.recurrence import TRANSITIONS, RecurrenceConfig
from lsm.mixers.recurrent import ModulatedLRU
from lsm.mixers.registry import build_mixer
from lsm.mixers.semantic import Semantics

SIZE = (4, 6)
DIM, STATES = 12, 3


def by_hand(name, nu, score, modulation):
    """|a| of one state at one token, as the table of transitions writes it."""
    radius = math.exp(-math.exp(nu))
    return {
        "product": lambda: radius * modulation,
        "gate": lambda: radius ** (8 / (1 + math.exp(score))),
        "none": lambda: 0.0,
    }[name]()


def mixer(name, **options):
    recurrence = {"transition": name, **options}
    module = build_mixer("cml", DIM, d_state=STATES, recurrence=recurrence).double().eval()
    for parameter in (*module.modulation.parameters(), *module.out_proj.parameters(), *module.in_proj.parameters()):
        parameter.data.normal_(std=0.5)
    return module


@torch.no_grad()
@pytest.mark.parametrize("modulation", ["softmax", "mean_one"])
@pytest.mark.parametrize("input_norm", ["learned", "unit"])
@pytest.mark.parametrize("name", TRANSITIONS)
def test_every_recurrence_against_its_equation_token_by_token(name, input_norm, modulation):
    module = mixer(name, input_norm=input_norm, modulation=modulation, scan_order="raster")
    core, tokens = module.core, torch.randn(24, DIM).double()
    scores, softmax, enhancement = (item[0] for item in module.modulation(tokens[None]))
    image = to_image(module.in_proj(tokens[None]), SIZE)
    source = (image * torch.sigmoid(module.gate(image)))[0].flatten(1).T
    scale = {"softmax": softmax, "mean_one": softmax * 4 * STATES}[modulation]
    gamma, phase = core.gamma_log.exp(), core.theta_log.exp()
    expected = torch.empty(24, DIM).double()
    h = torch.zeros(STATES, dtype=torch.complex128)
    for k in range(24):
        radius = torch.tensor(
            [by_hand(name, core.nu_log[n].item(), scores[k, n].item(), softmax[k, n].item()) for n in range(STATES)],
            dtype=torch.float64,
        )
        _, m_b, m_re, m_im = scale[k].chunk(4)
        unit = (1 - radius**2).sqrt() if input_norm == "unit" else 1
        projected = torch.complex(core.B_re, core.B_im) @ source[k].to(torch.complex128)
        h = radius * torch.exp(1j * phase) * h + m_b * unit * gamma * projected
        expected[k] = core.C_re @ (m_re * h.real) - core.C_im @ (m_im * h.imag) + core.D @ source[k]
    expected = torch.cat([expected @ module.out_proj.weight.T + module.out_proj.bias, enhancement], dim=1)
    assert (module(tokens[None], SIZE)[0] - expected).abs().max() < 1e-10


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in TRANSITIONS if name != "none"])
@pytest.mark.parametrize("extreme", [-60.0, -12.0, 0.0, 12.0, 60.0])
def test_no_transition_reaches_one(name, extreme):
    core = ModulatedLRU(DIM, STATES, RecurrenceConfig(transition=name))
    core.nu_log.fill_(extreme)
    scores = torch.randn(2, 9, 4 * STATES) * 20
    found = core.decay(Semantics(scores, scores.softmax(dim=-1), None))
    assert found.shape == (2, 9, STATES)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.isfinite().all()


def test_unit_input_keeps_the_size_of_states_whatever_their_decay():
    """With √(1 − |a|²) the variance of a state driven by white noise is that of its input."""
    torch.manual_seed(4)
    for r_max in (0.3, 0.97):
        config = RecurrenceConfig("gated", scan_order="raster", r_min=r_max - 0.01, r_max=r_max)
        core = ModulatedLRU(DIM, 16, config)
        scores = torch.zeros(1, 4000, 64)
        semantics = Semantics(scores, torch.full_like(scores, 1 / 64), None)  # gates of one
        core.B_re.data, core.B_im.data = torch.randn(16, DIM) / DIM**0.5, torch.randn(16, DIM) / DIM**0.5
        states = core(torch.randn(1, 4000, DIM), core.plan(semantics, (1, 4000)))
        assert states[:, 500:].square().mean().sqrt().item() == pytest.approx(1, abs=0.1)
