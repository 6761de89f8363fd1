from __future__ import annotations

import numpy as np
import pytest
from small_training import smooth_image

from lsm.metrics import psnr, psnr_b, ssim
from lsm.training.metrics import measure, select_metrics


def test_names_of_basicsr_give_the_protocol_of_the_benchmark():
    a, b = smooth_image(0), smooth_image(1)
    for luma, channel in ((True, "y"), (False, "rgb")):
        options = {"crop_border": 3, "test_y_channel": luma, "better": "higher"}
        assert measure({"type": "calculate_psnr", **options}, a, b) == psnr(a, b, 3, channel)
        assert measure({"type": "calculate_ssim", **options}, a, b) == ssim(a, b, 3, channel)


def test_psnrb_looks_for_blocks_in_the_restored_image():
    true = smooth_image(0)
    blocky = np.repeat(np.repeat(true[::8, ::8], 8, axis=0), 8, axis=1)[: true.shape[0], : true.shape[1]]
    options = {"type": "calculate_psnrb", "crop_border": 0, "test_y_channel": False, "better": "higher"}
    assert measure(options, blocky, true) == psnr_b(blocky, true, 0, "rgb") < psnr_b(true, blocky, 0, "rgb")


def test_metric_without_a_true_image():
    """BasicSR's NIQE, which takes BGR: its grey value differs where red and blue change places."""
    from basicsr.metrics import calculate_niqe

    image = smooth_image(0, 200, 210)
    options = {"type": "calculate_niqe", "crop_border": 4, "test_y_channel": False, "better": "lower"}
    assert measure(options, image, None) == pytest.approx(float(calculate_niqe(image[..., ::-1], 4)))
    metrics = {"niqe": options, "psnr": {"type": "calculate_psnr"}}
    assert list(select_metrics(metrics, has_target=False)) == ["niqe"]
    assert select_metrics(metrics, has_target=True) == metrics
