import inspect
import re

import pytest
import torch

from lsm import LSMConfig, create_model
from lsm.errors import OptionError
from lsm.mixers.base import TokenMixer, to_image, to_tokens
from lsm.mixers.registry import (
    MIXERS,
    build_mixer,
    describe_mixer,
    find_mixer,
    mixer_names,
    mixer_options,
    sequence_mixer,
)
from lsm.mixers.scan_order import directions
from lsm.sequence import LRU, build_unet
from lsm.weights.load import build

NAMES = mixer_names()
SIZES = [(1, 1), (1, 9), (7, 1), (5, 6), (16, 16)]
DIM = 8


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_any_size_and_an_image_alone_as_in_a_batch(name, size):
    mixer, tokens = build_mixer(name, DIM).eval(), torch.randn(2, size[0] * size[1], DIM)
    mixed = mixer(tokens, size)
    assert mixed.shape == tokens.shape and mixed.dtype == tokens.dtype and mixed.isfinite().all()
    torch.testing.assert_close(mixer(tokens[1:], size), mixed[1:], atol=1e-4, rtol=1e-4)
    assert torch.equal(mixer(tokens, size), mixed)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_halves(name, dtype):
    mixer, tokens = build_mixer(name, DIM).eval(), torch.randn(1, 42, DIM)
    expected = mixer(tokens, (6, 7))
    with torch.autocast("cpu", dtype):
        cast = mixer(tokens, (6, 7))
        lower = mixer(tokens.to(dtype), (6, 7))
    scale = expected.abs().max()
    assert (cast - expected).abs().max() < 0.1 * scale
    assert (lower - expected).abs().max() < 0.1 * scale


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_mixer_in_bfloat16(name):
    mixer, tokens = build_mixer(name, DIM).eval(), torch.randn(1, 42, DIM)
    expected = mixer(tokens, (6, 7))
    assert not any(p.is_complex() for p in mixer.state_dict().values())
    lower = mixer.bfloat16()(tokens.bfloat16(), (6, 7))
    assert (lower - expected).abs().max() < 0.15 * expected.abs().max()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sequence", [False, True])
def test_gradients(name, sequence):
    options = {"recurrence": {"scan_order": "raster"}} if name == "cml" else {}  # categories jump
    mixer = build_mixer(name, 4, sequence=sequence, **options).double().eval()
    for parameter in mixer.parameters():
        if parameter.ndim == 2:
            parameter.data.normal_(std=0.5)
    tokens = torch.randn(1, 6, 4).double().requires_grad_()
    size = () if sequence else ((2, 3),)
    assert torch.autograd.gradcheck(lambda x: mixer(x, *size), (tokens,), fast_mode=True)
    # The table of the position bias is kept between calls without gradients, which the numeric gradient changes unseen.
    named = {n: p for n, p in mixer.named_parameters() if "bias.0." not in n and "bias.1." not in n}
    if named:

        def by_parameters(*values):
            return torch.func.functional_call(mixer, dict(zip(named, values, strict=True)), (tokens, *size))

        assert torch.autograd.gradcheck(by_parameters, tuple(named.values()), fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name):
    mixer = build_mixer(name, DIM)
    tokens = torch.randn(2, 400, DIM, requires_grad=True)
    (mixer(tokens, (20, 20)) * torch.randn(2, 400, DIM)).sum().backward()
    still = [n for n, p in mixer.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_in_the_network_and_through_its_state_dict(name):
    model = create_model("tiny", 2, mixer=name).eval()
    image = torch.rand(1, 3, 9, 11)
    large = model(image)
    assert large.shape == (1, 3, 18, 22) and large.isfinite().all()
    again = build(model.state_dict()).eval()
    assert again.config == model.config and torch.equal(again(image), large)
    kinds = [type(block.mixer) for group in model.groups for block in group.blocks]
    assert kinds[1::2] == [find_mixer(name).kind] * 4
    assert all(issubclass(kind, TokenMixer) for kind in kinds)


@pytest.mark.parametrize("name", NAMES)
def test_in_the_1d_unet(name):
    network = build_unet(sequence_mixer(name), 4, 2, 2)
    for length in (1, 7, 33):
        outputs = network(torch.randn(2, 4, length))
        assert outputs.shape == (2, 4, length) and outputs.isfinite().all()
    outputs.square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_tokens_are_mixed(name):
    """A change of one token shows in another one, in images and in sequences."""
    for sequence, size in ((False, (6, 7)), (True, None)):
        mixer = build_mixer(name, DIM, sequence=sequence).eval()
        tokens = torch.randn(1, 42, DIM)
        changed = tokens.clone()
        changed[0, 0] += 1
        where = (mixer(changed, size) != mixer(tokens, size)).any(-1)[0]
        assert where[1:].any()


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_say_everything_and_parameters_are_as_they_say(name):
    text = describe_mixer(name)
    assert all((text.summary, text.paper, text.equation, text.cost, text.parameters))
    mixer = build_mixer(name, DIM)
    assert text.cost.startswith(mixer.properties.complexity)
    formula = "0" if text.parameters == "none" else re.split("[;,]", text.parameters)[0]
    for written, python in (("·", "*"), ("²", "**2"), ("−", "-")):
        formula = formula.replace(written, python)
    defaults = {
        p.name: p.default
        for p in inspect.signature(find_mixer(name).build).parameters.values()
        if p.default is not p.empty
    }
    names = {"C": DIM, "N": 16, "T": 64, "P": 8, "heads": 4, **defaults}
    assert eval(formula, {}, names) == sum(p.numel() for p in mixer.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_what_the_properties_promise(name):
    """Parseval's theorem for unitary transforms, energy for mixers that say they keep it; real output in networks."""
    mixer, tokens = build_mixer(name, DIM).eval(), torch.randn(1, 35, DIM)
    assert mixer.properties.complexity in ("n", "n log n") and mixer.properties.real_output
    energy = tokens.square().sum()
    if mixer.properties.unitary:
        spectrum = mixer.transform(tokens) if name.startswith("fnet") else mixer.transform(tokens, (5, 7))
        assert abs(spectrum.abs().square().sum() / energy - 1) < 1e-4
    if mixer.properties.energy_preserving:
        assert abs(mixer(tokens, (5, 7)).abs().square().sum() / energy - 1) < 1e-4


def test_errors_name_what_is_known():
    with pytest.raises(OptionError, match="Did you mean 'gfnet'"):
        LSMConfig(mixer="gfnets")
    with pytest.raises(OptionError, match="Did you mean 'height'"):
        LSMConfig(mixer="gfnet", mixer_options={"hight": 8})
    with pytest.raises(OptionError, match="must be of type int"):
        LSMConfig(mixer="gfnet", mixer_options={"height": "8"})
    with pytest.raises(OptionError, match="options of the network itself"):
        LSMConfig(mixer_options={"d_state": 4})
    with pytest.raises(OptionError, match="complex tokens"):
        create_model("tiny", mixer="fnet", mixer_options={"keep_complex": True})
    with pytest.raises(OptionError, match="official recurrence needs"):
        LSMConfig(recurrence="official", mixer="fnet")
    with pytest.raises(OptionError, match="Did you mean 'transition'"):
        build_mixer("cml", 4, recurrence={"transitoin": "gate"})
    with pytest.raises(OptionError, match="recurrence of mixer cml must be a name or a mapping"):
        build_mixer("cml", 4, recurrence=3)
    with pytest.raises(OptionError, match="do not divide one another"):
        build_mixer("attention", 4, split_size=[8, 12])
    with pytest.raises(OptionError, match="categories"):
        build_mixer("lru", 4, scan_order="category")
    with pytest.raises(ValueError, match="got tokens"):
        build_mixer("fnet", 4)(torch.zeros(1, 6, 4), (2, 2))


def test_options_reach_the_mixer():
    model = create_model("tiny", 2, mixer="gfnet", mixer_options={"height": 6, "width": 4}, mixer_mlp_ratio=2.0)
    blocks = model.groups[0].blocks
    assert blocks[1].mixer.filter.weight.shape == (6, 3, 48, 2)
    assert [block.mlp.fc1.out_features for block in blocks] == [48, 96, 48, 96]
    assert "height" in mixer_options("gfnet") and len(MIXERS) == len(NAMES)


@torch.no_grad()
@pytest.mark.parametrize("order", ["raster", "column", "snake", "hilbert", "bidirectional", "cross", "cross-hilbert"])
def test_the_plain_core_is_the_layer_for_sequences_in_every_direction(order):
    """y = Σ over the directions of the LRU along the visited tokens, each D ⊙ u with it, then the output Linear."""
    mixer, tokens = build_mixer("lru", DIM, scan_order=order).double().eval(), torch.randn(1, 30, DIM).double()
    layer = LRU(DIM, 16).double()
    layer.load_state_dict(mixer.core.state_dict())
    image = to_image(mixer.in_proj(tokens), (5, 6))
    gated = to_tokens(image * mixer.gate(image).sigmoid())
    total = torch.zeros_like(gated)
    for visited, backwards in directions(order, 5, 6):
        visited = torch.arange(30) if visited is None else visited
        visited = visited.flip(0) if backwards else visited
        total[:, visited] += layer(gated[:, visited])
    torch.testing.assert_close(mixer(tokens, (5, 6)), mixer.out_proj(total), atol=1e-10, rtol=1e-10)
