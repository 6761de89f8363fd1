from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lsm.metrics import psnr, ssim
from lsm.training import compat

basicsr_utils = pytest.importorskip("basicsr.utils")


def test_importing_the_package_and_its_commands_imports_nothing_of_training():
    code = "import sys, lsm, lsm.cli; assert not {'basicsr', 'cv2', 'pydantic'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shims_let_unmodified_basicsr_import_alone():
    """In a fresh interpreter without distutils, as on Python 3.12 and newer."""
    code = (
        "import sys; sys.modules['distutils'] = None; import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'distutils' else find(name, *a); del sys.modules['distutils']\n"
        "import lsm.training.compat, basicsr.archs.arch_util as util\n"
        "assert util.LooseVersion('0.29.2') >= util.LooseVersion('0.9.0')\n"
        "from basicsr.data.degradations import rgb_to_grayscale\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_missing_basicsr_is_explained():
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'basicsr' else find(name, *a)\n"
        "from lsm.cli import main; main(['train', '-opt', 'x.yml'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "lsm: error: Training and testing need basicsr 1.4.2" in done.stderr
    assert "`lsm install-basicsr` builds and installs it" in done.stderr
    assert "Traceback" not in done.stderr


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
