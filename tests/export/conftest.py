"""Networks that were exported once, for all tests of the exported files."""

import pytest
import torch

from lsm.arch import LSM, build_preset
from lsm.scan.torch_version import TORCH_26

SMALL = {"embed_dim": 16, "d_state": 2, "num_heads": 2, "split_size": (4, 8), "pos_dim": 3}


def _small(scale: int = 2, **options) -> LSM:
    torch.manual_seed(0)
    return build_preset("tiny", scale, **{**SMALL, "depths": (3,), "init": "random", **options}).eval()


@pytest.fixture(scope="session")
def small():
    """Build a small network with options of its own."""
    return _small


@pytest.fixture(scope="session")
def network() -> LSM:
    """Shifted attention and the recurrence; an export takes longer the more blocks there are."""
    network = _small(depths=(1, 2))
    network.groups = network.groups[1:]
    assert network.groups[0].blocks[0].mixer.shifted
    return network


@pytest.fixture(scope="session")
def onnx_files(network, tmp_path_factory):
    """A network in both precisions, by name of the precision, with the reports."""
    if TORCH_26:
        pytest.skip("torch 2.6 cannot export to ONNX")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from lsm.export.onnx_file import export_onnx

    folder = tmp_path_factory.mktemp("onnx")
    about = {"licence": "CC0-1.0", "training_set": "noise"}
    return {name: export_onnx(network, folder / f"{name}.onnx", name, about) for name in ("fp32", "fp16")}
