from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from own_process import OwnProcess, run_in_process, torchrun
from small_training import REPOSITORY, environment, smooth_image

from lsm.arch.base import CONFIG_KEY
from lsm.cli import main
from lsm.errors import CheckpointError, OptionError
from lsm.image.io import read_rgb, write_image
from lsm.image.resize import imresize
from lsm.inference.upscaler import Upscaler
from lsm.metrics import psnr
from lsm.training import launch
from lsm.training.model import DivergenceError


def losses(log: str) -> dict[int, str]:
    return {int(number): loss for number, loss in re.findall(r"iter +(\d+)/\d+  l_pix (\S+)", log)}


def load(folder: Path, name: str) -> dict:
    return torch.load(folder / "experiments" / "small" / name, weights_only=True)


def assert_same_tensors(a: object, b: object) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_tensors(a[key], b[key])
    elif isinstance(a, list):
        for each_a, each_b in zip(a, b, strict=True):
            assert_same_tensors(each_a, each_b)
    else:
        assert a == b


def train(*arguments: object) -> None:
    main(["train", *map(str, arguments)])


def test_killed_and_resumed_equals_uninterrupted(tmp_path, content, option_file):
    """kill -9 between two checkpoints, resume with another number of workers: the same losses, weights and moments."""
    file = option_file(content)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = losses(run_in_process(train, "-opt", file, folder=whole))
    assert len(expected) == 12

    process = OwnProcess(train, "-opt", file, folder=killed)
    process.wait_for("iter       6/12")
    process.kill()
    process.wait()
    assert [path.name for path in (killed / "experiments/small/training_states").glob("[!.]*")] == ["4.state"]

    arguments = ("--auto_resume", "--force_yml", "datasets:train:num_worker_per_gpu=1")
    resumed = losses(run_in_process(train, "-opt", file, *arguments, folder=killed))
    assert resumed == {number: loss for number, loss in expected.items() if number > 4}
    for name in ("models/net_g_12.pth", "models/net_g_latest.pth", "training_states/12.state"):
        assert_same_tensors(load(whole, name), load(killed, name))


def test_two_processes_equal_one_at_the_same_global_batch(tmp_path, content, option_file):
    """Without random numbers in the network, whose streams are each process's own, only rounding may differ."""
    content["network_g"] |= {"drop_path_rate": 0.0, "recurrence": {"categories": "argmax"}}
    # L1's gradient is a balance of signs, which Adam blows up to a full step where rounding tips it over zero.
    content["train"]["pixel_opt"] = {"type": "MSELoss"}
    file = option_file(content)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    first = losses(run_in_process(train, "-opt", file, folder=one))
    command = (REPOSITORY / "scripts/train.py", "-opt", str(file), "--launcher", "pytorch")
    second = losses(run_in_process(torchrun, 2, *command, folder=two))
    assert [float(value) for value in second.values()] == pytest.approx([float(v) for v in first.values()], abs=1e-5)
    expected, found = load(one, "models/net_g_12.pth"), load(two, "models/net_g_12.pth")
    for key in ("params", "params_ema"):
        for name, tensor in expected[key].items():
            torch.testing.assert_close(found[key][name], tensor, rtol=0, atol=1e-5, msg=name)


def test_sigterm_saves_before_leaving(tmp_path, content, option_file):
    content["train"]["total_iter"] = content["train"]["scheduler"]["periods"][0] = 100_000
    content["logger"]["save_checkpoint_freq"] = 100_000
    process = OwnProcess(train, "-opt", option_file(content), folder=tmp_path)
    process.wait_for("iter       3/")
    process.terminate()
    assert process.wait() == 0
    last = int(re.search(r"Stopped after iteration (\d+)", process.output.splitlines()[-1]).group(1))
    assert load(tmp_path, f"training_states/{last}.state")["iter"] == last


def train_in_own_session(*arguments: object) -> None:
    os.setsid()
    train(*arguments)


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="groups of processes are POSIX's")
def test_ctrl_c_saves_before_leaving(tmp_path, content, option_file):
    """A terminal sends it to the worker processes of the loader as well."""
    content["datasets"]["train"]["num_worker_per_gpu"] = 1
    content["train"]["total_iter"] = content["train"]["scheduler"]["periods"][0] = 100_000
    content["logger"]["save_checkpoint_freq"] = 100_000
    process = OwnProcess(train_in_own_session, "-opt", option_file(content), folder=tmp_path)
    process.wait_for("iter       3/")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 0, process.output
    last = int(re.search(r"Stopped after iteration (\d+)", process.output.splitlines()[-1]).group(1))
    assert load(tmp_path, f"training_states/{last}.state")["iter"] == last


@pytest.fixture
def trained(tmp_path, content, option_file, monkeypatch) -> Path:
    """The folder in which a training of two iterations has ended."""
    monkeypatch.chdir(tmp_path)
    content["train"]["total_iter"] = 2
    launch.train(option_file(content))
    return tmp_path


def test_existing_run_is_neither_renamed_nor_overwritten(trained, content, option_file):
    before = sorted((trained / "experiments").rglob("*"))
    with pytest.raises(OptionError, match="already holds a training: `auto_resume`"):
        launch.train(option_file(content))
    assert sorted((trained / "experiments").rglob("*")) == before


def test_auto_resume_starts_anew_where_there_is_nothing_and_says_so(
    tmp_path, content, option_file, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    content["train"]["total_iter"] = 1
    launch.train(option_file(content), auto_resume=True)
    said = f"There is no training to resume in {Path('experiments/small')}: it starts anew."
    assert said in capsys.readouterr().err
    launch.train(option_file(content), auto_resume=True)
    assert "anew" not in capsys.readouterr().err
    assert load(tmp_path, "models/net_g_latest.pth").keys() == {"params", "params_ema"}


def test_divergence_leaves_a_state_from_before(tmp_path, content, option_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content["train"]["optim_g"]["lr"] = 1e30
    with pytest.raises(DivergenceError, match=r"at iteration (\d+), with these images.*im\d\.png.*is saved") as caught:
        launch.train(option_file(content))
    last = int(re.search(r"iteration (\d+)", str(caught.value))[1]) - 1
    assert load(tmp_path, f"training_states/{last}.state")["iter"] == last
    assert all(tensor.isfinite().all() for tensor in load(tmp_path, f"models/net_g_{last}.pth")["params"].values())


def test_a_process_that_dies_ends_the_other(tmp_path, content, option_file):
    content["train"]["total_iter"] = content["train"]["scheduler"]["periods"][0] = 100_000
    content["logger"]["save_checkpoint_freq"] = 100_000
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    ranks = []
    for rank in ("0", "1"):
        folder = tmp_path / rank
        folder.mkdir()
        own = {**common, "RANK": rank, "LOCAL_RANK": rank}
        command = ("-opt", option_file(content), "--launcher", "pytorch")
        ranks.append(OwnProcess(train, *command, folder=folder, environment=own))
    ranks[0].wait_for("iter       2/")
    ranks[1].kill()
    assert ranks[0].wait(timeout=60) == 2
    assert ranks[1].wait() < 0
    said = ranks[0].output
    assert "Another process of this training has ended" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_a_run_that_is_in_use_is_left_alone(tmp_path, content, option_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "experiments" / "small"
    folder.mkdir(parents=True)
    held = "with lsm.files.only_process(pathlib.Path(sys.argv[1])): print(flush=True); input()"
    hold = f"import sys, pathlib, lsm.files\n{held}"
    command = [sys.executable, "-c", hold, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), text=True, **pipes) as other:
        other.stdout.readline()
        with pytest.raises(OptionError, match="in use by another process"):
            launch.train(option_file(content))
        other.communicate("\n")
    assert sorted(path.name for path in folder.iterdir()) == [".lock"]


def test_debug_prints_saves_and_validates_often_under_another_name(tmp_path, content, option_file, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content["logger"] = {"print_freq": 100, "save_checkpoint_freq": 100}
    launch.train(option_file(content), debug=True)
    assert len(losses(capsys.readouterr().err)) == 12
    states = tmp_path / "experiments/debug_small/training_states"
    assert sorted(path.name for path in states.iterdir()) == ["12.state", "8.state"]


def test_the_best_network_of_the_validations_is_kept(tmp_path, content, option_file, images, monkeypatch):
    """By the first metric on the first data set; what the others say does not count."""
    monkeypatch.chdir(tmp_path)
    psnrs = {"a": iter([20.0, 25.0, 22.0]), "b": iter([1.0, 2.0, 3.0])}
    monkeypatch.setattr(
        "lsm.training.validating.measure", lambda options, result, target: next(psnrs[(target[0, 0, 0] and "b") or "a"])
    )
    dark, bright = tmp_path / "dark", tmp_path / "bright"
    for folder, value in ((dark, 0), (bright, 200)):
        folder.mkdir()
        write_image(folder / "im.png", np.full((16, 16, 3), value, np.uint8))
    content["datasets"] |= {
        "val_1": {"name": "a", "dataroot_gt": str(dark)},
        "val_2": {"name": "b", "dataroot_gt": str(bright)},
    }
    content["val"] = {"val_freq": 4, "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2}}}
    launch.train(option_file(content))
    assert_same_tensors(load(tmp_path, "models/net_g_best.pth"), load(tmp_path, "models/net_g_8.pth"))


@pytest.mark.parametrize("type_", ["LSM_light", "LSM"])
def test_networks_of_official_files_train_and_test_as_they_are(
    tmp_path, content, option_file, images, monkeypatch, type_
):
    monkeypatch.chdir(tmp_path)
    content["network_g"] = {
        "type": type_,
        "upscale": 2,
        "img_size": 64,
        "depth": [2],
        "embed_dim": 32,
        "num_heads": [4],
        "mlp_ratio": 1.0,
        "split_size": [4, 8],
        "num_tokens": 8,
        "resi_connection": "1conv",
        "img_range": 1.0,
        "rmin": 0.9,
        "rmax": 0.99,
        "max_phase": 6.283,
    }
    content["train"]["total_iter"] = 2
    launch.train(option_file(content))
    test = {key: content[key] for key in ("name", "scale", "num_gpu", "network_g")}
    test["datasets"] = {"test": {"name": "HR", "dataroot_gt": str(images)}}
    test["path"] = {"pretrain_network_g": str(tmp_path / "experiments/small/models/net_g_latest.pth")}
    test["val"] = {"metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}}}
    assert launch.test(option_file(test, "test.yml"))["HR"]["psnr"] > 0


def test_run_keeps_options_that_can_be_given_again(trained, content):
    kept = trained / "experiments/small/small.yml"
    launch.train(kept, ["name=again"])
    again = trained / "experiments/again/models/net_g_2.pth"
    assert_same_tensors(load(trained, "models/net_g_2.pth"), torch.load(again, weights_only=True))


def test_fine_tuning_from_another_scale_loads_the_body(trained, content, option_file):
    weights = str(trained / "experiments/small/models/net_g_latest.pth")
    content |= {"name": "x4", "scale": 4, "path": {"pretrain_network_g": weights}}
    content["network_g"]["upscale"] = 4
    content["train"]["optim_g"]["lr"] = 1e-12
    with pytest.raises(CheckpointError, match=r"does not fit the network.*strict_load_g: false"):
        launch.train(option_file(content))
    content["path"]["strict_load_g"] = False
    launch.train(option_file(content), ["name=x4_loose"])
    start = torch.load(weights, weights_only=True)["params_ema"]
    tuned = torch.load(trained / "experiments/x4_loose/models/net_g_2.pth", weights_only=True)["params"]
    same = [name for name in start if start[name].shape == tuned[name].shape and name != CONFIG_KEY]
    assert len(same) == len(start) - 3  # all but the upsampler's weight and bias, and the configuration
    for name in same:
        torch.testing.assert_close(tuned[name], start[name], rtol=0, atol=1e-9)


def test_test_command_measures_and_writes_what_the_network_gives(trained, content, capsys):
    """`lsm test` on two sets, one with its own low-resolution files: numbers and images are those of the Upscaler."""
    images = trained / "images"
    (images / "LR").mkdir()
    for index in range(5):
        write_image(images / "LR" / f"im{index}x2.png", smooth_image(index, 20, 22))
    file = trained / "test.yml"
    options = {
        "name": "outcome",
        "scale": 2,
        "num_gpu": 0,
        "datasets": {
            "test_1": {"name": "made", "dataroot_gt": str(images / "HR")},
            "test_2": {"name": "given", "dataroot_gt": str(images / "HR"), "dataroot_lq": str(images / "LR")},
        },
        "network_g": content["network_g"],
        "path": {"pretrain_network_g": str(trained / "experiments/small/models/net_g_latest.pth")},
        "val": {
            "save_img": True,
            "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}},
        },
    }
    file.write_text(yaml.safe_dump(options))
    main_exit_code(["test", "-opt", str(file)])

    settings = {key: value for key, value in content["network_g"].items() if key not in {"type", "variant", "upscale"}}
    from lsm import create_model

    net = create_model("tiny", scale=2, **settings)
    net.load_state_dict(torch.load(options["path"]["pretrain_network_g"], weights_only=True)["params_ema"])
    upscaler, results = Upscaler(net.eval(), tile=0, device="cpu", frame=0), {"made": [], "given": []}
    for index in range(5):
        high = smooth_image(index)[:40, :44]
        low = {"made": imresize(high, 0.5), "given": smooth_image(index, 20, 22)}
        stems = {"made": f"im{index}", "given": f"im{index}x2"}
        for name, values in results.items():
            expected = upscaler(low[name])
            written = trained / "results/outcome/visualization" / name / f"{stems[name]}_outcome.png"
            np.testing.assert_array_equal(read_rgb(written), expected)
            values.append(psnr(expected, high, 2))
    found = yaml.safe_load((trained / "results/outcome/metrics.yml").read_text())
    assert found == {name: {"psnr": pytest.approx(np.mean(values))} for name, values in results.items()}


def test_test_command_takes_images_without_truth(trained, content):
    options = {
        "name": "free",
        "scale": 2,
        "num_gpu": 0,
        "datasets": {"test": {"type": "SingleImageDataset", "dataroot_lq": str(trained / "images" / "HR")}},
        "network_g": content["network_g"],
        "path": {"pretrain_network_g": str(trained / "experiments/small/models/net_g_latest.pth")},
        "val": {"save_img": True, "suffix": "big", "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2}}},
        "tile": {"tile_size": 16, "tile_pad": 4},
    }
    file = trained / "test.yml"
    file.write_text(yaml.safe_dump(options))
    assert launch.test(file) == {"images_HR": {}}
    assert read_rgb(trained / "results/free/visualization/images_HR/im3_big.png").shape == (82, 90, 3)


def main_exit_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code or 0


def test_command_line_reports_mistakes_in_one_line_each(tmp_path, content, option_file, capsys):
    content["train"]["optim_g"]["tpye"] = content["train"]["optim_g"].pop("type")
    code = main_exit_code(["train", "-opt", str(option_file(content)), "--force_yml", "scael=2", "num_gpu=many"])
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert len(lines) == 3
    assert any("Did you mean 'scale'?" in line for line in lines)
    assert any("num_gpu" in line and "many" in line for line in lines)
    assert any("train.optim_g: Unknown key 'tpye'. Did you mean 'type'?" in line for line in lines)


def test_gpus_that_are_not_there_are_named(content, option_file, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    content["num_gpu"] = 2
    with pytest.raises(OptionError, match="num_gpu: 2, but torch finds no CUDA device"):
        launch.train(option_file(content))
    content["num_gpu"] = 0
    with pytest.raises(OptionError, match="start by torchrun"):
        launch.train(option_file(content), launcher="pytorch")
