"""TensorBoard's files read by TensorBoard, and Weights & Biases following them without a network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from own_process import OwnProcess

from lsm.training import launch

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture
def logged(content, images):
    """A training of two iterations with a validation and TensorBoard's log."""
    content["train"]["total_iter"] = 2
    content["datasets"]["val"] = {"name": "some", "dataroot_gt": str(images)}
    metrics = {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}}
    content["val"] = {"val_freq": 1, "metrics": metrics}
    content["logger"] |= {"use_tb_logger": True, "print_freq": 1}
    return content


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_the_numbers_of_the_curves(tmp_path, logged, option_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    launch.train(option_file(logged))
    found = scalars(tmp_path / "tb_logger" / "small")
    lines = [json.loads(line) for line in Path("experiments/small/curves.jsonl").read_text().splitlines()]
    expected = {
        "losses/l_pix": [(line["iter"], line["losses"]["l_pix"]) for line in lines if "losses" in line],
        "lr": [(line["iter"], line["lr"]) for line in lines if "losses" in line],
        "metrics/some/psnr": [(line["iter"], line["metrics"]["psnr"]) for line in lines if "metrics" in line],
    }
    assert found.keys() == expected.keys()
    for tag, points in expected.items():
        assert found[tag] == [(step, pytest.approx(value, rel=1e-6)) for step, value in points]
        assert [step for step, _ in found[tag]] == [1, 2]


def test_weights_and_biases_follows_without_a_network(tmp_path, logged, option_file):
    pytest.importorskip("wandb")
    logged["logger"]["wandb"] = {"project": "sr"}
    offline = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(tmp_path)}
    for name in ("http_proxy", "https_proxy"):  # whatever is sent would fail
        offline |= {name: "http://127.0.0.1:9", name.upper(): "http://127.0.0.1:9"}
    process = OwnProcess(launch.train, option_file(logged), folder=tmp_path, environment=offline)
    assert process.wait() == 0, process.output
    assert re.search(r"Weights & Biases: run \w+ of project sr\.", process.output)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (file,) = run.glob("*.wandb")
    content = file.read_bytes()
    assert all(tag in content for tag in (b"losses/l_pix", b"metrics/some/psnr"))
