"""The folder that is to be proposed to spandrel: it loads there, and computes what our network does."""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lsm.weights import build, load_model

spandrel = pytest.importorskip("spandrel")

PROPOSAL = Path(__file__).parents[2] / "integrations/spandrel"


@pytest.fixture(scope="module")
def upstream():
    """The proposed architecture, where it would stand in spandrel."""
    architectures = importlib.import_module("spandrel.architectures")
    path = architectures.__path__
    path.append(str(PROPOSAL / "libs/spandrel/spandrel/architectures"))
    yield importlib.import_module("spandrel.architectures.LSM")
    path.pop()
    for name in [name for name in sys.modules if name.startswith("spandrel.architectures.LSM")]:
        del sys.modules[name]
    del architectures.LSM


@torch.no_grad()
@pytest.mark.parametrize("name", ["light_x4", "light_x3", "classical_x2"])
def test_published_files_load_and_give_what_our_network_gives(upstream, shared, name):
    path = shared / "fixtures" / f"released_{name}.pth"
    state = spandrel.canonicalize_state_dict(torch.load(path, weights_only=True))
    registry = spandrel.ArchRegistry()
    registry.add(*(support for support in spandrel.MAIN_REGISTRY if support.architecture.id != "LSM"))
    registry.add(spandrel.ArchSupport.from_architecture(upstream.LSMArch(), before=("RGT",)))
    loaded = spandrel.ModelLoader(registry=registry).load_from_state_dict(dict(state)).eval()
    assert isinstance(loaded.model, upstream.LSM)
    ours = load_model(path).sample_categories(False)
    assert loaded.scale == ours.config.upscale
    for buffer in ("rpe_biases", "relative_position_index"):  # as in the file
        key = f"layers.0.blocks.0.attn.attns.1.{buffer}"
        assert torch.equal(
            upstream.LSM(**loaded.model.hyperparameters).state_dict()[key],
            state[key].to(loaded.model.state_dict()[key]),
        )
    image = load_file(path.with_suffix(".io.safetensors"))["x1"][:, :, :37, :45]
    torch.testing.assert_close(loaded.model(image), ours(image), atol=2e-5, rtol=0)


@torch.no_grad()
def test_new_networks_load_into_ours(upstream):
    """Shifted windows, several groups, an odd size; names and order are the published ones."""
    torch.manual_seed(0)
    theirs = upstream.LSM(embed_dim=24, depths=(5, 3), num_heads=2, d_state=4, num_tokens=16, split_size=(4, 8)).eval()
    ours = build(theirs.state_dict()).eval().sample_categories(False)
    image = torch.rand(1, 3, 21, 19)
    torch.testing.assert_close(theirs(image), ours(image), atol=1e-5, rtol=0)
    batch = torch.rand(2, 3, 9, 11)
    each = torch.cat([theirs(one[None]) for one in batch])
    torch.testing.assert_close(theirs(batch), each, atol=1e-5, rtol=0)  # images do not leak into each other


def _same_hyperparameters(arch, *builders):
    for builder in builders:
        model = builder()
        loaded = arch.load(model.state_dict()).model
        given = {name: loaded.hyperparameters[name] for name in model.hyperparameters}
        assert given == model.hyperparameters


def _any_size(descriptor):
    with torch.no_grad():
        for size in ((1, 1), (7, 40), (33, 17)):
            result = descriptor(torch.rand(1, descriptor.input_channels, *size))
            assert result.shape[2:] == tuple(side * descriptor.scale for side in size)


def _trains(arch, model):
    trained = arch.load(model.state_dict()).train().model
    trained(torch.rand(2, 3, 16, 16)).mean().backward()
    missing = [n for n, p in trained.named_parameters() if p.grad is None]
    # the eigenvalues need a recurrence, which one image does not have in the published networks
    assert all(name.endswith(("nu_log", "theta_log")) for name in missing)


def test_its_own_tests_pass(upstream):
    """They are run with plain forms of the helpers that spandrel's test folder has under these names."""
    package, helpers = types.ModuleType("proposal"), types.ModuleType("proposal.util")
    package.__path__ = []
    helpers.assert_loads_correctly = _same_hyperparameters
    helpers.assert_size_requirements = _any_size
    helpers.assert_training = _trains
    helpers.skip_if_unchanged = lambda file: None
    sys.modules |= {"proposal": package, "proposal.util": helpers}
    spec = importlib.util.spec_from_file_location("proposal.test_LSM", PROPOSAL / "tests/test_LSM.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for test in (module.test_load, module.test_size_requirements, module.test_train):
        test()
    del sys.modules["proposal"], sys.modules["proposal.util"]
