import math

import pytest
import torch

from lsm.mixers.layout import to_image
from lsm.mixers.semantic_lru import SemanticLRU
from lsm.mixers.transition import TRANSITIONS, magnitude
from lsm.scan import modulated_scan

SIZE = (4, 6)
DIM, STATES = 12, 3


def by_hand(name, nu, scores, modulation, largest, gain):
    """|a| of one state at one token, as the table of transitions writes it."""
    radius = math.exp(-math.exp(nu))
    return {
        "product": lambda: radius * modulation,
        "renormalised": lambda: radius * modulation / largest,
        "gain": lambda: radius * math.tanh(gain * modulation),
        "power": lambda: radius ** (1 - modulation),
        "gate": lambda: radius ** (8 / (1 + math.exp(scores))),
        "fixed": lambda: radius,
        "none": lambda: 0.0,
    }[name]()


def mixer(name, **options):
    module = SemanticLRU(DIM, STATES, 4 * STATES, transition=name, **options).double().eval()
    for parameter in (*module.modulation.parameters(), *module.out_proj.parameters(), *module.in_proj.parameters()):
        parameter.data.normal_(std=0.5)
    return module


@torch.no_grad()
@pytest.mark.parametrize("modulation", ["softmax", "mean_one", "none"])
@pytest.mark.parametrize("input_norm", ["learned", "unit"])
@pytest.mark.parametrize("name", TRANSITIONS)
def test_every_recurrence_against_its_equation_token_by_token(name, input_norm, modulation):
    module = mixer(name, input_norm=input_norm, modulation=modulation, scan_order="raster")
    core, tokens = module.core, torch.randn(24, DIM).double()
    scores, softmax, enhancement = (item[0] for item in module.modulation(tokens[None]))
    image = to_image(module.in_proj(tokens[None]), SIZE)
    source = (image * torch.sigmoid(module.gate(image)))[0].flatten(1).T
    scale = {"softmax": softmax, "mean_one": softmax * 4 * STATES, "none": torch.ones_like(softmax)}[modulation]
    gamma, phase = core.gamma_log.exp(), core.theta_log.exp()
    expected = torch.empty(24, DIM).double()
    h = torch.zeros(STATES, dtype=torch.complex128)
    for k in range(24):
        radius = torch.tensor(
            [
                by_hand(
                    name,
                    core.nu_log[n].item(),
                    scores[k, n].item(),
                    softmax[k, n].item(),
                    softmax[k, :STATES].max().item(),
                    1 if module.gain_log is None else module.gain_log[n].exp().item(),
                )
                for n in range(STATES)
            ],
            dtype=torch.float64,
        )
        _, m_b, m_re, m_im = scale[k].chunk(4)
        unit = (1 - radius**2).sqrt() if input_norm == "unit" else 1
        drive = torch.complex(core.B_re, core.B_im) @ source[k].to(torch.complex128)
        h = radius * torch.exp(1j * phase) * h + m_b * unit * gamma * drive
        expected[k] = core.C_re @ (m_re * h.real) - core.C_im @ (m_im * h.imag) + core.D @ source[k]
    expected = torch.cat([expected @ module.out_proj.weight.T + module.out_proj.bias, enhancement], dim=1)
    assert (module(tokens[None], SIZE)[0] - expected).abs().max() < 1e-10


@torch.no_grad()
def test_reset_makes_each_category_a_sequence_of_its_own():
    module, tokens = mixer("fixed", reset=True), torch.randn(1, 24, DIM).double()
    module.gate.weight.zero_()  # leaves no path between tokens but the scan
    module.modulation.query.bias.zero_()  # so that the length of a token does not change its category
    categories = module.modulation(tokens).scores.argmax(dim=-1)[0]
    assert len(categories.unique()) > 1
    before = module(tokens, SIZE)
    index = int((categories == categories.min()).nonzero()[0])
    changed = tokens.clone()
    changed[0, index] *= 2
    moved = (module(changed, SIZE) - before).abs().amax(-1)[0] > 0
    assert not moved[categories != categories[index]].any()
    assert moved[index]


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in TRANSITIONS if name != "none"])
@pytest.mark.parametrize("extreme", [-60.0, -12.0, 0.0, 12.0, 60.0])
def test_no_transition_reaches_one(name, extreme):
    scores = torch.randn(2, 9, STATES) * 20
    modulation = scores.softmax(dim=-1)
    gain = torch.full((STATES,), 8.0)
    found = magnitude(name, torch.full((STATES,), extreme), scores, modulation, gain)
    assert found.shape == (2, 9, STATES)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.isfinite().all()


def test_unit_input_keeps_the_size_of_states_whatever_the_memory():
    """With √(1 − |a|²) the variance of a state driven by white noise is that of its input."""
    torch.manual_seed(4)
    for r_max in (0.3, 0.97):
        module = SemanticLRU(
            DIM, 16, 64, transition="fixed", input_norm="unit", modulation="none", scan_order="raster",
            r_min=r_max - 0.01, r_max=r_max,
        )  # fmt: skip
        drive = torch.randn(1, 4000, 32)
        semantics = module.modulation(torch.randn(1, 4000, DIM))
        memory = module.memory(semantics)
        unit = (1 - memory.square()).sqrt()
        phase = module.core.theta_log.exp()
        states = modulated_scan(drive * unit.repeat(1, 1, 2), memory, (phase.cos(), phase.sin()))
        assert states[:, 500:].square().mean().sqrt().item() == pytest.approx(1, abs=0.1)
