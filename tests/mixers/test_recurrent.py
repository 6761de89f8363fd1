import math

import pytest
import torch

from lsm.mixers.recurrence import RecurrenceConfig
from lsm.mixers.recurrent import ModulatedLRU
from lsm.mixers.registry import build_mixer
from lsm.mixers.scan_order import directions
from lsm.mixers.semantic import SemanticModulation, assign_categories

SIZE = (5, 7)
DIM, STATES = 12, 3


def mixer(**recurrence):
    module = build_mixer("cml", DIM, d_state=STATES, recurrence=recurrence).double().eval()
    for parameter in (*module.modulation.parameters(), *module.out_proj.parameters(), *module.in_proj.parameters()):
        parameter.data.normal_(std=0.5)
    return module


def semantics_by_hand(unit, tokens):
    """S and M of each token, as the paper writes them, one pair at a time."""
    count = unit.scale.numel()
    scores = torch.empty(len(tokens), count, dtype=torch.float64)
    for t in range(count):
        key = unit.key.weight @ unit.dictionary[t] + unit.key.bias
        for i, token in enumerate(tokens):
            query = unit.query.weight @ token + unit.query.bias
            cosine = query @ key / (query.norm() * key.norm())
            scores[i, t] = cosine * (1 + unit.scale[t].clamp(0, 1) * math.log(count))
    return scores, scores.exp() / scores.exp().sum(1, keepdim=True)


def recurrence_by_hand(core, tokens, modulation, order):
    """h_k and y_k of the paper's equations in complex numbers, visiting the tokens in `order`."""
    lam = torch.exp(torch.complex(-core.nu_log.exp(), core.theta_log.exp()))
    b = torch.complex(core.B_re, core.B_im) * core.gamma_log.exp()[:, None]
    m_lambda, m_b, m_re, m_im = modulation.view(len(tokens), 4, -1).unbind(1)
    state = torch.zeros(len(lam), dtype=torch.complex128)
    out = torch.empty_like(tokens)
    for k in order:
        state = lam * m_lambda[k] * state + m_b[k] * (b @ tokens[k].to(b.dtype))
        out[k] = core.C_re @ (m_re[k] * state.real) - core.C_im @ (m_im[k] * state.imag) + core.D @ tokens[k]
    return out


def gated(module, tokens):
    image = (tokens @ module.in_proj.weight.T + module.in_proj.bias).T.view(1, DIM, *SIZE)
    return (image * torch.sigmoid(module.gate(image)))[0].flatten(1).T


@torch.no_grad()
def test_the_papers_recurrence_against_the_equations():
    module, tokens = mixer(), torch.randn(35, DIM).double()
    scores, modulation = semantics_by_hand(module.modulation, tokens)
    order = sorted(range(35), key=lambda k: scores[k].argmax().item())  # Python's sort is stable
    mixed = recurrence_by_hand(module.core, gated(module, tokens), modulation, order)
    unit = module.modulation
    values = unit.dictionary @ unit.value.weight.T + unit.value.bias
    expected = torch.cat([mixed @ module.out_proj.weight.T + module.out_proj.bias, modulation @ values], dim=1)
    assert (module(tokens[None], SIZE)[0] - expected).abs().max() < 1e-10


@torch.no_grad()
@pytest.mark.parametrize("name", ["raster", "column", "snake", "hilbert", "bidirectional", "cross", "cross-hilbert"])
def test_spatial_orders_sum_their_directions(name):
    module, tokens = mixer(scan_order=name), torch.randn(35, DIM).double()
    _, modulation = semantics_by_hand(module.modulation, tokens)
    source = gated(module, tokens)
    linear = source @ module.core.D.T
    mixed = linear.clone()
    for order, backwards in directions(name, *SIZE):
        visit = list(range(35)) if order is None else order.tolist()
        visit = visit[::-1] if backwards else visit
        mixed += recurrence_by_hand(module.core, source, modulation, visit) - linear
    expected = mixed @ module.out_proj.weight.T + module.out_proj.bias
    assert (module(tokens[None], SIZE)[0, :, : DIM // 2] - expected).abs().max() < 1e-10


@torch.no_grad()
def test_official_recurrence_scans_the_batch_with_unsorted_modulation():
    module, tokens = mixer(mode="official"), torch.randn(3, 35, DIM).double()
    torch.manual_seed(5)
    actual = module(tokens, SIZE)
    scores, modulation = zip(*(semantics_by_hand(module.modulation, image) for image in tokens), strict=True)
    torch.manual_seed(5)
    categories = assign_categories(torch.stack(scores), "gumbel")
    core, mean = module.core, torch.stack(modulation)[..., :STATES].mean(0)
    lam = torch.exp(torch.complex(-core.nu_log.exp(), core.theta_log.exp()))
    b = torch.complex(core.B_re, core.B_im) * core.gamma_log.exp()[:, None]
    state = torch.zeros(35, STATES, dtype=torch.complex128)
    for image in range(3):
        order = sorted(range(35), key=lambda k, c=categories[image]: c[k].item())
        features = gated(module, tokens[image])[order]
        _, m_b, m_re, m_im = modulation[image].view(35, 4, -1).unbind(1)
        state = lam * mean * state + m_b * (features.to(b.dtype) @ b.T)
        mixed = (m_re * state.real) @ core.C_re.T - (m_im * state.imag) @ core.C_im.T + features @ core.D.T
        unsorted = torch.empty_like(mixed)
        unsorted[order] = mixed
        expected = unsorted @ module.out_proj.weight.T + module.out_proj.bias
        assert (actual[image, :, : DIM // 2] - expected).abs().max() < 1e-10


@torch.no_grad()
def test_nothing_crosses_images_in_the_papers_recurrence():
    module, tokens = mixer(), torch.randn(3, 35, DIM).double()
    together = module(tokens, SIZE)
    for index in range(3):
        assert (module(tokens[index : index + 1], SIZE) - together[index]).abs().max() < 1e-12
    other = tokens.clone()
    other[0] = 0
    assert (module(other, SIZE)[1:] - together[1:]).abs().max() < 1e-12


@torch.no_grad()
def test_the_recurrence_reaches_later_tokens_and_only_those():
    module, tokens = mixer(scan_order="raster"), torch.randn(1, 35, DIM).double()
    module.gate.weight.zero_()  # leaves no path between tokens but the scan
    changed = tokens.clone()
    changed[0, 20] += 1
    moved = (module(changed, SIZE) - module(tokens, SIZE)).abs().amax(-1)[0] > 0
    assert not moved[:20].any()
    assert moved[20:24].all()  # further on, λ·M to that power is below the rounding


def test_transition_is_stable_whatever_its_parameters():
    core = mixer().float().core
    for value in (-50.0, -5.0, 0.0, 5.0, 50.0):
        core.nu_log.data.fill_(value)
        re, im = core.transition()
        assert torch.hypot(re, im).max() <= 1
        assert torch.isfinite(re).all()


def test_initial_values_of_the_recurrence():
    torch.manual_seed(1)
    core = ModulatedLRU(600, 400, RecurrenceConfig(r_min=0.5, r_max=0.8, max_phase=1.0))
    radius = torch.hypot(*core.transition())
    assert radius.min() >= 0.5 - 1e-4 and radius.max() <= 0.8 + 1e-4
    assert abs(radius.square().mean().item() - (0.25 + 0.64) / 2) < 0.02  # |λ|² is uniform
    assert core.theta_log.exp().max() <= 1
    assert torch.allclose(core.gamma_log.exp().square(), 1 - radius.square(), atol=1e-5)
    for weight, variance in ((core.B_re, 1 / 1200), (core.C_im, 1 / 400), (core.D, 1 / 600)):
        assert abs(weight.var().item() * 1 / variance - 1) < 0.02


def test_categories_are_drawn_in_proportion():
    scores = torch.tensor([0.0, 1.0, 2.0]).expand(1, 40_000, 3)
    for temperature in (1.0, 0.5):
        drawn = assign_categories(scores, "gumbel", temperature, torch.Generator().manual_seed(3))
        shares = torch.bincount(drawn[0], minlength=3) / 40_000
        assert (shares - (scores[0, 0] / temperature).softmax(0)).abs().max() < 0.01
    assert (assign_categories(scores, "argmax") == 2).all()


def test_modulation_is_a_distribution_over_the_prototypes():
    unit = SemanticModulation(12, 8)
    semantics = unit(torch.randn(2, 9, 12))
    assert torch.allclose(semantics.modulation.sum(-1), torch.ones(2, 9), atol=1e-6)
    assert semantics.scores.abs().max() <= 1 + 0.5 * math.log(8) + 1e-5
    assert unit.dictionary.abs().max() <= 1 / 8
