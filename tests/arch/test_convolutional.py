"""The convolutional networks: sizes, the start, what the context blocks see, configurations, files and exports."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lsm import Upscaler, create_model, load_model, save_model
from lsm.arch import CONVOLUTIONAL, ConvolutionalConfig, ConvolutionalLSM, preset_config
from lsm.errors import OptionError
from lsm.profiling.complexity import complexity

SMALL = {"embed_dim": 8, "blocks": 2, "context_after": (1,), "context_dim": 8, "d_state": 2}


def small(scale=2, seed=0, **options):
    """A network whose context block is not silent, as an untrained one's is."""
    torch.manual_seed(seed)
    network = create_model("fast", scale, **{**SMALL, **options}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return network


@pytest.mark.parametrize("variant", CONVOLUTIONAL)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_parameters_are_those_of_the_description(variant, scale):
    """By hand, from the docstrings of the blocks and of the CML's mixer."""
    config = preset_config(variant, scale)
    c, d, n = config.embed_dim, config.context_dim, config.d_state
    conv = lambda i, o, k: i * o * k * k + o  # noqa: E731
    mixer = 2 * d * d + 11 * d + 4 * n * d + 3 * n + (4 * n + 2 * (d // 3) + 2 * (d // 2)) * (d + 1)
    mlp = (d + 1) * d + (2 + 10) * (d // 2) + (d // 2 + 1) * d
    context = conv(c, d, 2) + mixer + mlp + 5 * d + c * d * 4 + c
    body = config.blocks * 2 * conv(c, c, 3) + len(config.context_after) * context
    expected = conv(3, c, 3) + body + conv(c, c, 3) + conv(c, 3 * scale**2, 3)
    assert sum(p.numel() for p in create_model(variant, scale).parameters()) == expected


@pytest.mark.parametrize("scale", [2, 3, 4])
@torch.no_grad()
def test_the_untrained_network_is_nearly_bilinear(scale):
    image = torch.rand(1, 3, 15, 17)
    expected = F.interpolate(image, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.manual_seed(0)
    difference = create_model("fast", scale).eval()(image) - expected
    assert difference[..., scale:-scale, scale:-scale].abs().mean() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (12, 13)])
@pytest.mark.parametrize("stride", [1, 2, 4])
@torch.no_grad()
def test_any_size(size, stride):
    network = small(3, context_stride=stride)
    assert network(torch.rand(2, 3, *size)).shape == (2, 3, 3 * size[0], 3 * size[1])


@torch.no_grad()
def test_the_recurrence_reaches_from_corner_to_corner_only_with_context():
    image = torch.rand(1, 3, 40, 40)
    changed = image.clone()
    changed[..., 0, 0] += 0.5
    for options, reaches in (({}, True), ({"context_after": ()}, False)):
        network = small(2, recurrence="gated", **options).double()
        difference = (network(image.double()) - network(changed.double()))[..., 60:, 60:].abs().max()
        assert bool(difference > 0) == reaches


@torch.no_grad()
def test_images_of_a_batch_and_channels_last_change_nothing():
    network, images = small().double(), torch.rand(3, 3, 12, 10, dtype=torch.float64)
    alone = torch.cat([network(image[None]) for image in images])
    for given in (images, images.contiguous(memory_format=torch.channels_last)):
        assert (network(given) - alone).abs().max() < 1e-12


@pytest.mark.parametrize(("task", "unshuffle"), [("denoise", 1), ("jpeg", 2)])
@torch.no_grad()
def test_at_scale_1_the_untrained_network_returns_its_input(task, unshuffle):
    network = create_model("fast", 1, task=task, unshuffle=unshuffle, **SMALL).eval()
    image = torch.rand(1, 3, 11, 9)
    assert torch.equal(network(image), image)
    assert small(1, task=task, unshuffle=unshuffle)(image).shape == image.shape


def test_gradients_agree_with_finite_differences():
    network = small(2, recurrence="gated").double()
    image = torch.rand(1, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, image, eps=1e-6, atol=1e-5)


def test_recomputed_blocks_give_the_same_gradients():
    image, gradients = torch.rand(1, 3, 8, 9), []
    network = small().train()
    for enabled in (False, True):
        network.checkpoint_blocks(enabled).zero_grad()
        network(image).square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    "recurrence", ["paper", "gated", {"transition": "none"}, {"mode": "gated", "scan_order": "snake"}]
)
@torch.no_grad()
def test_a_file_describes_itself(tmp_path, recurrence):
    network = small(3, recurrence=recurrence)
    save_model(network, tmp_path / "a.safetensors", {"licence": "CC0-1.0"})
    torch.save({"params": network.state_dict()}, tmp_path / "a.pth")
    image = torch.rand(1, 3, 9, 8)
    for name in ("a.safetensors", "a.pth"):
        loaded = load_model(tmp_path / name)
        assert isinstance(loaded, ConvolutionalLSM) and loaded.config == network.config
        assert torch.equal(loaded(image), network(image))


def test_it_upscales_images_in_tiles():
    image = np.random.default_rng(0).integers(0, 256, (50, 61, 3), dtype=np.uint8)
    network = small()
    whole = Upscaler(network, tile=0, device="cpu")(image)
    tiled = Upscaler(network, tile=32, tile_overlap=16, device="cpu")(image)
    assert whole.shape == (100, 122, 3)
    assert np.abs(whole.astype(int) - tiled).mean() < 1


def test_its_cost_counts_the_scan():
    cost = complexity(create_model("fast", 4), 16, 16)
    assert cost.scan_macs > 0
    config = preset_config("fast", 4)
    convolutions = 256 * 9 * (3 * 32 + 2 * config.blocks * 32**2 + 32**2 + 32 * 48)
    assert convolutions < cost.macs < 1.2 * convolutions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upscale": 8}, "upscale"),
        ({"embed_dim": 3}, "embed_dim must exceed in_chans"),
        ({"context_after": (8,)}, "context_after"),
        ({"context_after": (1, 1)}, "context_after"),
        ({"context_stride": 3}, "context_stride"),
        ({"context_mlp_ratio": 0.03}, "even"),
        ({"recurrence": "official"}, "official recurrence"),
        ({"recurrence": "geted"}, "Did you mean 'gated'"),
        ({"task": "denoise"}, "scale 1"),
        ({"unshuffle": 2}, "unshuffle"),
        ({"blokcs": 3}, "Did you mean 'blocks'"),
    ],
)
def test_wrong_configurations_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        ConvolutionalConfig.from_dict(options)


@pytest.mark.parametrize("scale", [1, 2])
def test_under_autocast_the_image_keeps_its_precision(scale):
    network = create_model("fast", scale, **({"task": "denoise"} if scale == 1 else {}), **SMALL).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert network(torch.rand(1, 3, 8, 8)).dtype == torch.float32
