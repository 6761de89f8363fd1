"""LSM files through spandrel's own loader."""

import pytest
import torch
from skimage import data

from lsm import load_model
from lsm.arch import PRESETS, VARIANTS, build_preset
from lsm.weights import embedded_path, list_models, save_model

spandrel = pytest.importorskip("spandrel")
from lsm.integrations.spandrel import ID, install  # noqa: E402


@pytest.fixture(scope="module")
def loader():
    install()
    install()  # a second time changes nothing
    return spandrel.ModelLoader(device="cpu")


@torch.no_grad()
def check(loader, path, height=19, width=26):
    """Load a file both ways; the results must be the same bits."""
    descriptor, ours = loader.load_from_file(path), load_model(path)
    assert isinstance(descriptor, spandrel.ImageModelDescriptor)
    assert descriptor.architecture.id == ID
    assert descriptor.scale == ours.config.upscale
    assert (descriptor.input_channels, descriptor.output_channels) == (3, 3)
    assert descriptor.size_requirements.none
    assert descriptor.model.config == ours.config
    image = torch.rand(1, 3, height, width)
    results = []
    for network in (descriptor, ours):
        torch.manual_seed(7)
        results.append(network(image))
    assert torch.equal(results[0], results[1].clamp(0, 1))  # spandrel clamps
    return descriptor


@pytest.mark.parametrize("variant", PRESETS)
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_files_of_every_preset(loader, variant, ending, tmp_path):
    model = build_preset(variant, 3, depths=PRESETS[variant].get("depths", (6, 6))[:1])
    path = tmp_path / f"a.{ending}"
    if ending == "pth":
        torch.save({"params": model.state_dict(), "params_ema": model.state_dict()}, path)
    else:
        save_model(model, path)
    assert check(loader, path).tiling is spandrel.ModelTiling.DISCOURAGED


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in PRESETS])
def test_files_of_convolutional_networks(loader, variant, tmp_path):
    save_model(build_preset(variant, 2), tmp_path / "a.safetensors")
    assert check(loader, tmp_path / "a.safetensors").tiling is spandrel.ModelTiling.DISCOURAGED


@pytest.mark.parametrize("name", ["light_x4", "light_x3", "classical_x2"])
def test_official_files(loader, shared, name):
    descriptor = check(loader, shared / "fixtures" / f"released_{name}.pth")
    assert descriptor.model.config.recurrence.mode == "official"
    assert descriptor.tiling is spandrel.ModelTiling.SUPPORTED


@torch.no_grad()
@pytest.mark.parametrize("name", list_models())
def test_half_is_as_good_as_is_said(loader, name):
    descriptor = loader.load_from_file(embedded_path(name))
    image = torch.tensor(data.astronaut()[:80, 100:200]).permute(2, 0, 1)[None] / 255
    whole = descriptor(image)
    assert descriptor.supports_half
    assert (descriptor.half()(image.half()).float() - whole).abs().max() < 1 / 255
    assert not descriptor.supports_bfloat16


@pytest.mark.parametrize(
    ("options", "tiling"),
    [
        ({"placement": "attention"}, "SUPPORTED"),
        ({"recurrence": {"transition": "none"}}, "SUPPORTED"),
        ({"recurrence": {"scan_order": "hilbert"}}, "DISCOURAGED"),
        ({"mixer": "fnet"}, "DISCOURAGED"),
    ],
)
def test_tiling_is_advised_where_nothing_is_global(loader, options, tiling, tmp_path):
    save_model(build_preset("tiny", 2, depths=(2,), **options), tmp_path / "a.safetensors")
    assert loader.load_from_file(tmp_path / "a.safetensors").tiling is spandrel.ModelTiling[tiling]


def test_other_networks_are_still_recognised(loader):
    registry = spandrel.MAIN_REGISTRY
    assert len(registry) > 30
    assert registry.architectures("detection")[0].architecture.id == ID
    with pytest.raises(spandrel.UnsupportedModelError):
        loader.load_from_state_dict({"conv_first.weight": torch.zeros(1)})


def test_a_registry_of_ones_own_can_be_given():
    registry = spandrel.ArchRegistry()
    install(registry)
    assert len(registry) == 1 and ID in registry
