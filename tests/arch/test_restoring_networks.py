"""The network at scale 1: what it starts as, sizes, the pixel unshuffle, and options that contradict each other."""

import pytest
import torch

from lsm.arch import LSMConfig, build_preset, preset_config
from lsm.arch.pixel_unshuffle import PixelUnshuffle
from lsm.errors import OptionError

SMALL = {"embed_dim": 8, "depths": (2,), "num_heads": 2, "d_state": 2, "split_size": (4, 8)}


@pytest.mark.parametrize("variant", ["tiny", "light", "s"])
@pytest.mark.parametrize("unshuffle", [1, 2, 4])
@torch.no_grad()
def test_an_untrained_network_returns_its_input(variant, unshuffle):
    more = {"mlp_ratio": 2.0} if variant == "s" else {}
    network = build_preset(variant, 1, task="denoise", unshuffle=unshuffle, **SMALL, **more).eval()
    for size in ((1, 1), (7, 9), (16, 24)):
        image = torch.rand(2, 3, *size)
        assert torch.equal(network(image), image)
    randomly = build_preset(variant, 1, task="jpeg", unshuffle=unshuffle, init="random", **SMALL, **more).eval()
    assert not torch.equal(randomly(image), image)


def test_every_parameter_learns_but_behind_the_zeros():
    """At the start the gradient reaches the last convolution only, and all others once that has moved."""
    network = build_preset("tiny", 1, task="denoise", unshuffle=2, **SMALL)
    image = torch.rand(2, 3, 9, 10)
    for step in range(2):
        network.zero_grad()
        (network(image) - 0.5).abs().mean().backward()
        moved = {name for name, parameter in network.named_parameters() if parameter.grad.abs().max() > 0}
        assert (moved == {"upsampler.0.weight", "upsampler.0.bias"}) == (step == 0)
        torch.optim.SGD(network.parameters(), 0.1).step()
    assert len(moved) > 0.9 * len(list(network.parameters()))


def test_pixels_become_channels_and_missing_ones_repeat_the_edge():
    image = torch.arange(15.0).view(1, 1, 3, 5)
    unshuffled = PixelUnshuffle(2)(image)
    assert unshuffled.shape == (1, 4, 2, 3)
    assert unshuffled[0, :, 0, 0].tolist() == [0, 1, 5, 6]
    assert unshuffled[0, :, 1, 2].tolist() == [14, 14, 14, 14]
    back = torch.nn.functional.pixel_shuffle(unshuffled, 2)
    assert torch.equal(PixelUnshuffle(2).crop(back, (3, 5)), image)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"upscale": 1}, "scale 1 needs the task denoise or jpeg"),
        ({"upscale": 2, "task": "denoise"}, "scale 1 needs the task"),
        ({"upscale": 1, "task": "deblur"}, "Unknown task of LSM 'deblur'"),
        ({"upscale": 2, "unshuffle": 2}, "Unknown unshuffle of LSM 2"),
        ({"upscale": 1, "task": "jpeg", "unshuffle": 3}, "Unknown unshuffle of LSM 3"),
        ({"upscale": 2, "init": "identity"}, "Unknown init of LSM 'identity'"),
        ({"upscale": 1, "task": "denoise", "recurrence": "official", "mixer": "fno"}, "official recurrence"),
    ],
)
def test_contradictions_are_told(options, said):
    with pytest.raises(OptionError, match=said):
        LSMConfig(**options)


def test_presets_say_what_they_are_for():
    assert preset_config("tiny", 1, task="denoise").init == "identity"
    assert preset_config("tiny", 2).init == "bilinear" and preset_config("light", 2).init == "random"
    assert [preset_config("tiny", 1, task="jpeg").purpose, preset_config("tiny", 3).purpose] == ["jpeg", "×3"]
    assert preset_config("tiny", 1, task="denoise", unshuffle=2).tile_multiple == 32
