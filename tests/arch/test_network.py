import pytest
import torch

from lsm import LSM, create_model
from lsm.arch import PRESETS, preset_config
from lsm.mixers.recurrent import RecurrentMixer
from lsm.mixers.window_attention import WindowAttention

PUBLISHED_PARAMETERS = {
    "light": {2: 763_344, 3: 771_459, 4: 782_820},
    "s": {2: 9_716_387, 3: 9_901_027, 4: 9_864_099},
    "base": {2: 12_771_607, 3: 12_956_247, 4: 12_919_319},
}


def small(scale=2, **options):
    settings = {"embed_dim": 32, "depths": (2, 2), "d_state": 4, "split_size": (4, 8)}
    return create_model("light", scale, **{**settings, **options}).eval()


@pytest.mark.parametrize("recurrence", ["paper", "official"])
@pytest.mark.parametrize(("variant", "scale"), [(v, s) for v, row in PUBLISHED_PARAMETERS.items() for s in row])
def test_parameter_counts_are_those_of_the_paper(variant, scale, recurrence):
    with torch.device("meta"):
        model = create_model(variant, scale, recurrence)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED_PARAMETERS[variant][scale]


def test_tiny_is_small():
    assert sum(p.numel() for p in create_model("tiny", 4).parameters()) <= 250_000


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (16, 16), (17, 33)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_any_size_comes_out_exactly_scaled(scale, size):
    assert small(scale)(torch.rand(1, 3, *size)).shape == (1, 3, scale * size[0], scale * size[1])


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_classical_upsampler(scale):
    model = small(scale, upsampler="classical")
    assert model(torch.rand(1, 3, 6, 5)).shape == (1, 3, 6 * scale, 5 * scale)


@torch.no_grad()
@pytest.mark.parametrize("variant", PRESETS)
def test_every_preset_runs(variant):
    model = create_model(variant, 2).eval()
    out = model(torch.rand(1, 3, 8, 10))
    assert out.shape == (1, 3, 16, 20) and out.isfinite().all()


def test_only_some_windows_are_shifted():
    model = create_model("light", 2)
    shifted = [
        [block.mixer.shifted for block in group.blocks if isinstance(block.mixer, WindowAttention)]
        for group in model.groups
    ]
    assert shifted == [[False, True, False], [True, False, True]] * 2  # positions 0, 2, 4 of each group


def test_skip_probabilities_rise_linearly():
    model = create_model("light", 2, depths=(2, 3))
    rates = [block.drop_rate for group in model.groups for block in group.blocks]
    assert rates == pytest.approx([0, 0.025, 0.05, 0.075, 0.1])


@torch.no_grad()
def test_same_image_same_bits_and_alone_as_in_a_batch():
    model, images = small(), torch.rand(4, 3, 19, 23)
    together = model(images)
    assert torch.equal(model(images), together)
    for index in range(4):
        alone = model(images[index : index + 1])
        assert (alone - together[index]).abs().max() < 1e-5


@torch.no_grad()
def test_sampling_on_request_with_a_generator():
    model, image = small(), torch.rand(1, 3, 12, 12)
    plain = model(image)
    drawn = [model.sample_categories(generator=torch.Generator().manual_seed(s))(image) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(model.sample_categories(False)(image), plain)


@torch.no_grad()
def test_autocast_is_close_and_finite():
    model, image = small(), torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(image)
    assert half.isfinite().all()
    assert (half.float() - model(image)).abs().max() < 0.05


def test_gradients_reach_every_parameter():
    model = small(drop_path_rate=0).train()
    model(torch.rand(2, 3, 9, 9)).square().mean().backward()
    # The last maps of position bias and gate may be tiny, but nothing is cut off.
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert silent == []
    zero = [name for name, p in model.named_parameters() if p.grad.abs().max() == 0]
    assert [name for name in zero if "bias.0" not in name and "bias.1" not in name] == []


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bilinear_init_upscales_bilinearly(scale):
    model, image = small(scale, init="bilinear"), torch.rand(1, 3, 12, 14)
    expected = torch.nn.functional.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))  # the border sees the zero padding
    weak, strong = ((m(image) - expected)[inner].abs().mean() for m in (model, small(scale)))
    assert weak < 0.1
    assert weak < strong / 3
    for parameter in (model.conv.weight, model.conv.bias):
        parameter.zero_()
    model.upsampler[0].weight[:, 3:] = 0
    assert (model(image) - expected)[inner].abs().max() < 1e-5


def test_network_is_one_class_built_from_a_configuration():
    config = preset_config("tiny", 3)
    assert LSM(config).config is config


def test_checkpointing_draws_the_same_random_numbers_again():
    """Drop path and Gumbel categories are on; the gradient belongs to the forward pass that was returned."""
    pytest.importorskip("timm", reason="timm (extra `train`), for drop path, is not installed")
    model, image = small(drop_path_rate=0.5).train(), torch.rand(2, 3, 9, 9)
    results = []
    for enabled in (False, True):
        torch.manual_seed(3)
        model.zero_grad()
        output = model.checkpoint_blocks(enabled)(image)
        output.square().mean().backward()
        results.append([output.detach(), *(parameter.grad.clone() for parameter in model.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_checkpointing_keeps_less():
    model, kept = small(drop_path_rate=0).train(), []
    image = torch.rand(1, 3, 16, 16)
    for enabled in (False, True):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x, s=sizes: s.append(x.nbytes) or x, lambda x: x):
            model.checkpoint_blocks(enabled)(image)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 3


@torch.no_grad()
@pytest.mark.parametrize(("recurrence", "tokens"), [("paper", (0, 1)), ("gated", (3, 1000))])
def test_how_long_states_last(recurrence, tokens):
    model = small(recurrence=recurrence)
    mixer = next(module for module in model.modules() if isinstance(module, RecurrentMixer))
    decay = mixer.core.scan_decay(mixer.modulation(torch.randn(1, 96, 32)), (8, 12))
    assert decay.shape == (1, 96, 4)
    least, most = tokens
    assert least < -1 / decay.median().log() < most  # until a state has faded to 1/e
    assert torch.isfinite(model(torch.rand(1, 3, 8, 12))).all()
