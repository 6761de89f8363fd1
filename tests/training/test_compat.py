from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from own_process import OwnProcess, run_in_process

from lsm.cli import main
from lsm.metrics import psnr, ssim
from lsm.training import compat

basicsr_utils = pytest.importorskip("basicsr.utils")


def test_importing_the_package_and_its_commands_imports_nothing_of_training():
    code = "import sys, lsm, lsm.cli; assert not {'basicsr', 'cv2', 'pydantic'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def without(package: str) -> None:
    """Let a package be none that is installed, and forget basicsr and what imports it."""
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *a: None if name == package else find(name, *a)
    dropped = ("basicsr", "distutils", "lsm.training", "torchvision.transforms.functional_tensor")
    for name in list(sys.modules):
        if any(name == each or name.startswith(f"{each}.") for each in dropped):
            del sys.modules[name]


def import_without_distutils() -> None:
    without("distutils")
    importlib.import_module("lsm.training.compat")
    util = importlib.import_module("basicsr.archs.arch_util")
    assert util.LooseVersion("0.29.2") >= util.LooseVersion("0.9.0")
    assert util.LooseVersion.__module__ != "distutils.version"
    from basicsr.data.degradations import rgb_to_grayscale  # noqa: F401


def test_shims_let_unmodified_basicsr_import_alone(tmp_path):
    """Without distutils, as on Python 3.12 and newer."""
    run_in_process(import_without_distutils, folder=tmp_path)


def train_without_basicsr() -> None:
    without("basicsr")
    main(["train", "-opt", "x.yml"])


def test_missing_basicsr_is_explained(tmp_path):
    done = OwnProcess(train_without_basicsr, folder=tmp_path)
    assert done.wait() == 2
    assert "lsm: error: Training and testing need basicsr 1.4.2" in done.output
    assert "`lsm install-basicsr` builds and installs it" in done.output
    assert "Traceback" not in done.output


def test_image_helpers_survive_numpy_2_and_opencv_5(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 22, 3), dtype=np.uint8)
    basicsr_utils.imwrite(image, str(tmp_path / "folder" / "a.png"))
    read = basicsr_utils.imfrombytes((tmp_path / "folder" / "a.png").read_bytes(), float32=True)
    np.testing.assert_array_equal(np.uint8(np.round(read * 255)), image)
    tensor = basicsr_utils.img2tensor(read)
    np.testing.assert_array_equal(tensor[0].numpy(), read[..., 2])
    np.testing.assert_array_equal(basicsr_utils.tensor2img(tensor), image)


@pytest.mark.parametrize("luma", [False, True])
def test_metrics_of_basicsr_agree_with_ours(luma):
    rng = np.random.default_rng(1)
    a = rng.integers(0, 256, (30, 33, 3), dtype=np.uint8)
    b = np.uint8(np.clip(a + rng.normal(0, 12, a.shape), 0, 255))
    data = {"img": a[..., ::-1], "img2": b[..., ::-1]}
    for name, ours, tolerance in (("calculate_psnr", psnr, 1e-3), ("calculate_ssim", ssim, 1e-5)):
        theirs = compat.calculate_metric(data, {"type": name, "crop_border": 2, "test_y_channel": luma})
        assert ours(a, b, 2, "y" if luma else "rgb") == pytest.approx(theirs, abs=tolerance)
