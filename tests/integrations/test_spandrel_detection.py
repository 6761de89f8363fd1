"""`install()` changes nothing for the other networks that spandrel knows."""

import functools
import importlib
import inspect
import pkgutil

import pytest
import torch
from torch import nn

from lsm import load_model
from lsm.arch import PRESETS, build_preset
from lsm.arch.base import CONFIG_KEY
from lsm.weights.keys import to_official

spandrel = pytest.importorskip("spandrel")
from lsm.integrations.spandrel import ID, detect, install  # noqa: E402

REQUIRED = {
    "AuraSR": {
        "dim": 8,
        "image_size": 32,
        "input_image_size": 16,
        "style_network": {"dim_in": 8, "dim_out": 16, "depth": 1},
    },
    "MMRealSR": {"num_in_ch": 3, "num_out_ch": 3},
    "SAFMN": {"dim": 8},
    "SAFMNBCIE": {"dim": 8},
    "Swin2SR": {"window_size": 8},
    "SwinIR": {"window_size": 8},
    "SPAN": {"num_in_ch": 3, "num_out_ch": 3},
}
"""Arguments of the networks that cannot be built with defaults alone."""


@functools.cache
def classes() -> dict[str, type[nn.Module]]:
    """Every network class that spandrel offers, by the name of its architecture's package and its own."""
    import spandrel.architectures

    found = {}
    for package in pkgutil.iter_modules(spandrel.architectures.__path__):
        if package.name.startswith("_"):
            continue
        module = importlib.import_module(f"spandrel.architectures.{package.name}")
        members = [getattr(module, name) for name in module.__all__]
        found |= {f"{package.name}.{c.__name__}": c for c in members if inspect.isclass(c) and issubclass(c, nn.Module)}
    return found


def names() -> list[str]:
    return sorted(classes())


@pytest.fixture
def undrawn(monkeypatch):
    """Parameters are zero: only their names and shapes matter, and drawing them takes most of the time."""

    @torch.no_grad()
    def fill(tensor, *arguments, **options):
        return tensor if tensor.is_meta else tensor.zero_()

    for method in ("uniform_", "normal_", "erfinv_"):
        monkeypatch.setattr(torch.Tensor, method, fill)
    for function in ("trunc_normal_", "orthogonal_"):
        monkeypatch.setattr(nn.init, function, fill)


def recognised(registry, state) -> list[str]:
    return [support.architecture.id for support in registry.architectures("detection") if support.detect(state)]


@pytest.fixture(scope="module")
def registries():
    """Spandrel's registry as it comes, and one with LSM."""
    before = spandrel.ArchRegistry()
    before.add(*(support for support in spandrel.MAIN_REGISTRY if support.architecture.id != ID))
    after = before.copy()
    install(after)
    return before, after


def test_there_are_many_others():
    assert len(names()) > 40


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", names())
def test_another_network_is_recognised_as_before(registries, undrawn, name):
    build = functools.partial(classes()[name], **REQUIRED.get(name.split(".")[0], {}))
    try:
        with torch.device("meta"):  # without memory, where the constructor looks at no value
            state = build().state_dict()
    except RuntimeError:
        state = build().state_dict()
    before, after = (recognised(registry, state) for registry in registries)
    assert before == after
    assert not detect(state)


@pytest.mark.parametrize("variant", PRESETS)
def test_ours_are_recognised_first_in_either_naming(registries, undrawn, variant):
    before, after = registries
    model = build_preset(variant, recurrence="official")
    ours = model.state_dict()
    official = to_official({key: value for key, value in ours.items() if key != CONFIG_KEY})
    for state in (ours, official):
        assert recognised(after, state)[0] == ID
    assert recognised(before, ours) == []
    assert recognised(before, official) == []


@pytest.mark.parametrize(("name", "mistaken"), [("light_x4", []), ("light_x3", []), ("classical_x2", ["RGT"])])
def test_published_files_are_recognised_and_what_they_are_taken_for_without(registries, shared, name, mistaken):
    state = torch.load(shared / "fixtures" / f"released_{name}.pth", weights_only=True)
    state = spandrel.canonicalize_state_dict(state)
    before, after = registries
    assert recognised(before, state) == mistaken
    assert recognised(after, state) == [ID, *mistaken]


def test_hyperparameters_build_the_same_network():
    """Spandrel compares a network's `hyperparameters` before and after it is loaded from its weights."""
    model = load_model("tiny-x4")
    assert model.hyperparameters == model.config.to_dict()
    loaded = spandrel.ModelLoader(registry=_own()).load_from_state_dict(model.state_dict())
    assert loaded.model.hyperparameters == model.hyperparameters


def _own():
    registry = spandrel.ArchRegistry()
    install(registry)
    return registry
