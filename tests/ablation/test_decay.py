import numpy as np
import pytest
import torch

from lsm import create_model
from lsm.ablation.decay import dependence, fading_lengths, far_share, measure_decay
from lsm.errors import InputError
from lsm.mixers.recurrent import ModulatedLRU

SMALL = {"embed_dim": 8, "depths": (2,), "num_heads": 2, "d_state": 2, "split_size": (4, 4)}


def test_lengths_count_the_steps_to_one_over_e():
    decay = torch.rand(60, 3, dtype=torch.float64) ** 0.2
    decay[10, 1] = 0  # forgets all at once
    lengths = fading_lengths(decay)
    for state in range(3):
        for k in range(60):
            left, steps = 1.0, 0
            while left > np.exp(-1) and k + steps + 1 < 60:
                steps += 1
                left *= decay[k + steps, state].item()
            assert lengths[k, state] == steps
    constant = torch.full((50, 1), np.exp(-0.1) - 1e-6)
    assert lengths.dtype == torch.int64
    assert (fading_lengths(constant)[:40] == 10).all()


def test_the_gated_decay_is_what_the_eigenvalues_say():
    """A dictionary whose keys are all orthogonal to the queries leaves |λ|^(8 σ(0)) = |λ|⁴, for every token."""
    recurrence = {"mode": "gated", "scan_order": "raster", "r_min": 0.5, "r_max": 0.8}
    model = create_model("tiny", recurrence=recurrence, **SMALL).eval()
    (core,) = (module for module in model.modules() if isinstance(module, ModulatedLRU))
    for name, parameter in model.named_parameters():
        if ".modulation.key" in name:
            parameter.data.zero_()
    (found,) = measure_decay(model, torch.rand(1, 3, 12, 12))
    radius = torch.exp(-core.nu_log.exp()) ** 4
    assert found.decay[0] == pytest.approx(radius.min().item(), abs=1e-6)
    assert found.decay[-1] == pytest.approx(radius.max().item(), abs=1e-6)


def test_a_network_without_recurrence_is_refused():
    with pytest.raises(InputError, match="no recurrence"):
        measure_decay(create_model("tiny", recurrence={"transition": "none"}, **SMALL).eval(), torch.rand(1, 3, 8, 8))


def test_dependence_against_finite_differences():
    model = create_model("tiny", **SMALL).double().eval()
    image = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    influence = dependence(model, image, 12, 17)
    for y, x in ((3, 4), (2, 5)):
        total = 0.0
        for channel in range(3):
            sides = []
            for step in (-1e-6, 1e-6):
                moved = image.clone()
                moved[0, channel, y, x] += step
                with torch.no_grad():
                    sides.append(model(moved)[0, :, 12, 17].sum().item())
            total += abs(sides[1] - sides[0]) / 2e-6
        assert influence[y, x] == pytest.approx(total, rel=1e-5)
    with pytest.raises(InputError, match="none at"):
        dependence(model, image, 32, 0)


def test_far_share_counts_what_is_beyond_the_radius():
    influence = np.zeros((5, 5))
    influence[2, 2], influence[2, 4] = 3, 1
    assert far_share(influence, 2, 2, 1.5) == 0.25
    assert far_share(influence, 2, 2, 2) == 0
