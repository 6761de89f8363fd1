"""Muon against float64 by hand, its AdamW half against torch's, and what goes where."""

import copy

import pytest
import torch

from lsm import create_model
from lsm.training.muon import COEFFICIENTS, Muon, matrix_shape, orthogonalize, split_parameters
from lsm.training.optimizers import build_optimizer, set_learning_rate

MUON = {"type": "Muon", "lr": 0.01, "adamw_lr": 2e-3, "weight_decay": 0.1}


@pytest.mark.parametrize("shape", [(8, 8), (4, 30), (30, 4), (1, 7)])
def test_singular_vectors_stay_and_values_become_near_one(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    values = left.mT @ orthogonalize(matrices).double() @ right.mT
    diagonal = torch.diagonal(values, dim1=-2, dim2=-1)
    assert (values - torch.diag_embed(diagonal)).abs().max() < 1e-4
    assert diagonal.min() > 0.3 and diagonal.max() < 1.25


def by_hand(weight, gradients, rate, decay, momentum=0.95):
    """The same steps in float64, on the long side and one matrix alone."""
    weight, buffer = weight.double().clone(), torch.zeros_like(weight, dtype=torch.float64)
    rows, columns = matrix_shape(weight)
    for gradient in gradients:
        buffer = momentum * buffer + gradient.double()
        x = (gradient.double() + momentum * buffer).reshape(rows, columns)
        x = x / x.norm()
        for _ in range(5):
            a, b, c = COEFFICIENTS
            square = x @ x.T
            x = a * x + b * square @ x + c * square @ square @ x
        weight = weight * (1 - rate * decay) - rate * max(1, rows / columns) ** 0.5 * x.view_as(weight)
    return weight


@pytest.mark.parametrize("shape", [(6, 4), (5, 9), (8, 3, 3, 3), (12, 8, 1, 1)])
def test_steps_are_those_of_the_equations(shape):
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(shape))
    start, gradients = weight.detach().clone(), [torch.randn(shape) for _ in range(4)]
    optimizer = Muon([{"params": [weight]}], lr=0.02, weight_decay=0.1)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    assert (weight.double() - by_hand(start, gradients, 0.02, 0.1)).abs().max() < 1e-5


def test_the_other_half_is_adamw():
    torch.manual_seed(2)
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 9)) for _ in range(2))
    settings = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.05}
    pair = Muon([{"params": [ours], "use_muon": False, **settings}], lr=1), torch.optim.AdamW([theirs], **settings)
    for _ in range(20):
        gradient = torch.randn(9)
        for parameter, optimizer in zip((ours, theirs), pair, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    assert (ours - theirs).abs().max() < 1e-6


def test_what_touches_pixels_vectors_and_depthwise_convolutions_go_to_adamw():
    network = create_model("tiny", 4)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    matrices, others = ({names[id(parameter)] for parameter in part} for part in split_parameters(network))
    assert matrices | others == set(names.values()) and not matrices & others
    assert "shallow.weight" in others and "conv.weight" in matrices
    assert all(network.get_parameter(name).ndim >= 2 for name in matrices)
    depthwise = {
        name for name, parameter in network.named_parameters() if parameter.ndim == 4 and parameter.shape[1] == 1
    }
    assert depthwise and depthwise <= others
    assert sum(network.get_parameter(name).numel() for name in matrices) > 0.8 * sum(
        p.numel() for p in network.parameters()
    )


def test_the_rates_of_both_halves_follow_the_schedule():
    optimizer = build_optimizer(create_model("tiny", 2, depths=(2,)), MUON)
    set_learning_rate(optimizer, 0.005)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 1e-3])
    assert [group["use_muon"] for group in optimizer.param_groups] == [True, False]


def test_a_state_goes_on_bit_for_bit():
    def steps(network, optimizer, count, seed):
        for index in range(count):
            torch.manual_seed(seed + index)
            optimizer.zero_grad()
            network(torch.rand(1, 3, 8, 8)).square().mean().backward()
            optimizer.step()

    torch.manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.Conv2d(6, 6, 3), torch.nn.Conv2d(6, 3, 3))
    optimizer = build_optimizer(network, MUON)
    steps(network, optimizer, 3, 0)
    twin = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.Conv2d(6, 6, 3), torch.nn.Conv2d(6, 3, 3))
    twin.load_state_dict(network.state_dict())
    resumed = build_optimizer(twin, MUON)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for net, opt in ((network, optimizer), (twin, resumed)):
        steps(net, opt, 3, 10)
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)
