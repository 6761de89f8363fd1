"""`lsm train` and `lsm test` at scale 1: it learns, resumes to the same bits, and measures by the protocol."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from small_training import SMALL_NETWORK, smooth_image

from lsm.data.degradations import add_noise, image_generator
from lsm.metrics import psnr
from lsm.training import launch

NETWORK = {**SMALL_NETWORK, "upscale": 1, "task": "denoise", "unshuffle": 2, "drop_path_rate": 0.0}


@pytest.fixture
def trained(tmp_path, content, option_file, monkeypatch):
    """A training of a few steps on noise; its config."""
    monkeypatch.chdir(tmp_path)
    content |= {"scale": 1, "network_g": NETWORK}
    content["datasets"]["train"] |= {"type": "NoisyImages", "sigma": [15, 45], "clipped": 0.5, "grey": 0.2}
    content["train"] |= {
        "total_iter": 60,
        "optim_g": {"type": "AdamW", "lr": 1e-2},
        "scheduler": {"type": "CosineAnnealingRestartLR", "periods": [60]},
    }
    content["logger"] = {"print_freq": 30, "save_checkpoint_freq": 30}
    file = option_file(content)
    launch.train(file)
    return file


def measured(images: Path, weights: Path | None, **more: object) -> dict[str, float]:
    """Run `lsm test` on noise of sigma 25, and give its metrics."""
    options = {
        "name": "measured",
        "scale": 1,
        "num_gpu": 0,
        "datasets": {"test": {"name": "a", "type": "NoisyImages", "dataroot_gt": str(images), "sigma": 25, **more}},
        "network_g": NETWORK,
        "path": {"pretrain_network_g": str(weights)} if weights else {},
        "val": {"metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 0}}},
    }
    file = Path("test.yml")
    file.write_text(yaml.safe_dump(options))
    results = launch.test(file)["a"]
    shutil.rmtree("results")
    return results


def test_it_learns_and_is_measured_by_the_protocol(trained, images):
    """An untrained network returns its input, so that its PSNR is that of the noise, clamped and rounded at the end."""
    before, after = measured(images, None), measured(images, Path("experiments/small/models/net_g_latest.pth"))
    values = []
    for index in range(5):
        noisy = add_noise(smooth_image(index), 25, image_generator(f"im{index}"))
        values.append(psnr(np.rint(noisy * 255).clip(0, 255).astype(np.uint8), smooth_image(index), 0, "rgb"))
    assert before["psnr"] == pytest.approx(np.mean(values), abs=1e-6)
    assert before["psnr"] == pytest.approx(20.17, abs=0.5)  # 20 log10(255 / 25), and a little less noise by clamping
    assert after["psnr"] > before["psnr"] + 0.2
    assert measured(images, None, clipped=1.0)["psnr"] == pytest.approx(before["psnr"], abs=1e-6)


def test_resumed_equals_uninterrupted(trained):
    folder = Path("experiments/small")
    expected = torch.load(folder / "models/net_g_60.pth", weights_only=True)
    for path in ("models/net_g_60.pth", "models/net_g_latest.pth", "training_states/60.state"):
        (folder / path).unlink()
    launch.train(trained, auto_resume=True, forced=["datasets:train:num_worker_per_gpu=1"])
    again = torch.load(folder / "models/net_g_60.pth", weights_only=True)
    for kind in ("params", "params_ema"):
        assert all(torch.equal(expected[kind][name], again[kind][name]) for name in expected[kind])
