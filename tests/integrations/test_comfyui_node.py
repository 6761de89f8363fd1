"""The node folder, loaded from its path as ComfyUI does, with spandrel's loader and a tiled loop like ComfyUI's."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lsm import Upscaler, load_model
from lsm.arch import VARIANTS, preset_config
from lsm.errors import OptionError
from lsm.weights.resolve import embedded_path

spandrel = pytest.importorskip("spandrel")

FOLDER = Path(__file__).parents[2] / "integrations/comfyui/comfyui-lsm"
NOT_BROUGHT = ("cv2", "timm", "basicsr", "skimage", "tifffile", "typer", "rich", "pydantic", "numba", "onnxruntime")
"""Packages that LSM uses and ComfyUI's own requirements do not bring."""


@pytest.fixture(scope="module")
def node():
    name = "custom_nodes.comfyui-lsm"
    spec = importlib.util.spec_from_file_location(
        name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture(scope="module")
def loaded(node):
    """What "Load Upscale Model" gives: the tensors of a file, through spandrel."""
    return spandrel.ModelLoader().load_from_state_dict(load_file(embedded_path("tiny-x2"))).eval()


@pytest.fixture(scope="module")
def photo():
    torch.manual_seed(0)
    smooth = torch.rand(1, 3, 12, 15)
    return torch.nn.functional.interpolate(smooth, (96, 120), mode="bicubic").clamp(0, 1)


def tiled(model, image, tile, overlap, starts):
    """ComfyUI's "Upscale Image (using Model)": tiles by tile − overlap, feathered linearly over the overlap."""
    scale, size = model.scale, image.shape[2:]
    out = torch.zeros(1, 3, *(side * scale for side in size))
    total = torch.zeros_like(out)
    ranges = [range(0, side - overlap, tile - overlap) if side > tile else [0] for side in size]
    for top, left in itertools.product(*ranges):
        starts.append((top, left))
        part = model(image[:, :, top : top + tile, left : left + tile])
        mask, feather = torch.ones_like(part), overlap * scale
        for step, axis in itertools.product(range(feather), (2, 3)):
            for edge in (step, part.shape[axis] - 1 - step):
                mask.select(axis, edge).mul_((step + 1) / feather)
        where = (..., *(slice(at * scale, at * scale + n) for at, n in zip((top, left), part.shape[2:], strict=True)))
        out[where] += part * mask
        total[where] += mask
    return out / total


def test_what_comfyui_reads_of_the_folder(node):
    assert node.NODE_CLASS_MAPPINGS.keys() == node.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for shown in node.NODE_CLASS_MAPPINGS.values():
        assert callable(getattr(shown(), shown.FUNCTION))
        assert {kind for kind, *_ in shown.INPUT_TYPES()["required"].values()} == {"UPSCALE_MODEL", "IMAGE", "INT"}


@torch.no_grad()
def test_comfyuis_own_node_upscales_in_tiles_on_the_windows(loaded, photo):
    assert isinstance(loaded, spandrel.ImageModelDescriptor)
    starts = []
    result = tiled(loaded, photo, 64, 32, starts)
    assert len(starts) > 4
    assert all(at % loaded.model.config.tile_multiple == 0 for at in itertools.chain(*starts))
    assert result.shape == (1, 3, 192, 240)
    assert (result - loaded(photo)).abs().mean() < 1 / 255


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("tile", [512, 256, 128])
def test_comfyuis_tiles_fit_every_window(variant, tile):
    multiple = preset_config(variant).tile_multiple
    assert tile % multiple == 0 and (tile - 32) % multiple == 0


def test_our_node_is_the_upscaler(node, loaded, photo):
    images = torch.cat([photo, photo.flip(3)]).movedim(1, -1)
    for tile in (0, 64):
        [result] = node.UpscaleWithLSM().upscale(loaded, torch.cat([images, images[..., :1]], dim=-1), tile)
        upscaler = Upscaler(load_model("tiny-x2"), tile=tile or "auto", device="cpu")
        expected = torch.cat([upscaler.upscale_tensor(one[None].movedim(-1, 1)) for one in images])
        assert torch.equal(result, expected.clamp(0, 1).movedim(1, -1))


def test_other_networks_are_refused_by_our_node(node):
    compact = importlib.import_module("spandrel.architectures.Compact.__arch.SRVGG")
    other = spandrel.ModelLoader().load_from_state_dict(compact.SRVGGNetCompact().state_dict())
    with pytest.raises(OptionError, match="not for"):
        node.UpscaleWithLSM().upscale(other, torch.zeros(1, 8, 8, 3), 0)


def test_it_needs_no_package_that_comfyui_does_not_bring(tmp_path):
    """So that `pip install --no-deps` suffices, and leaves ComfyUI's own packages alone."""
    import subprocess

    (tmp_path / "check.py").write_text(
        "import importlib.util, sys\n"
        f"sys.modules.update(dict.fromkeys({NOT_BROUGHT}))\n"
        f"spec = importlib.util.spec_from_file_location('node', {str(FOLDER / '__init__.py')!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "import spandrel, torch\n"
        "from safetensors.torch import load_file\n"
        f"model = spandrel.ModelLoader().load_from_state_dict(load_file({str(embedded_path('tiny-x2'))!r}))\n"
        "[result] = module.UpscaleWithLSM().upscale(model, torch.zeros(1, 9, 8, 3), 0)\n"
        "assert result.shape == (1, 18, 16, 3)\n"
    )
    ran = subprocess.run([sys.executable, tmp_path / "check.py"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
