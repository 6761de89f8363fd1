"""Trainings with a teacher, Muon, a frequency loss, hard patches and a budget, from the config to the weights."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm import create_model
from lsm.errors import OptionError
from lsm.image.io import read_rgb
from lsm.image.resize import imresize
from lsm.training import launch
from lsm.weights import save_model

SMALL = {"embed_dim": 8, "blocks": 2, "context_after": [1], "context_dim": 8, "d_state": 2}


@pytest.fixture
def taught(tmp_path, content, monkeypatch):
    """Options of a training whose teacher is the network that it starts from; run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    teacher = create_model("fast", 2, **SMALL)
    with torch.no_grad():  # away from bilinear, but not so far that the target is clamped
        for parameter in teacher.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.002)
    save_model(teacher, tmp_path / "teacher.safetensors")
    content["network_g"] = {"type": "LSM", "variant": "fast", **SMALL}
    content["path"] = {"pretrain_network_g": "teacher.safetensors"}
    content["train"] |= {"total_iter": 2, "scheduler": {"type": "Cosine"}, "teacher": {"path": "teacher.safetensors"}}
    return content, teacher.eval()


def log_of(name):
    """The log of a training in this folder; BasicSR's logger hands nothing on."""
    return "".join(path.read_text() for path in sorted(Path("experiments", name).glob("train_*.log")))


@pytest.mark.parametrize(("cache", "most"), [("made", 0.03), (None, 1e-6)])
def test_the_target_is_what_the_teacher_makes(taught, option_file, images, cache, most):
    """A network taught by itself has nothing to learn; where whole images are kept, but for what surrounds a patch."""
    content, teacher = taught
    content["train"]["teacher"]["cache"] = cache
    launch.train(option_file(content))
    assert float(re.search(r"iter +1/\S+  l_pix (\S+)", log_of("small"))[1]) <= most
    if cache:
        path = sorted(images.iterdir())[0]
        lq = torch.from_numpy(imresize(read_rgb(path)[:40, :44], 0.5)).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            expected = teacher(lq).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
        assert np.abs(read_rgb(f"made/{path.stem}.png") - expected).max() <= 0.51


def test_the_teachers_share_falls_along_the_training(taught, option_file):
    content, _ = taught
    content["train"]["optim_g"]["lr"] = 1e-12
    content["train"]["teacher"] |= {"weight": 1.0, "final_weight": 0.0}
    content["train"]["total_iter"] = 4
    content["datasets"]["train"] |= {"batch_size": 5, "use_shuffle": False, "gt_size": 40}
    launch.train(option_file(content))
    values = [float(value) for value in re.findall(r"l_pix (\S+)", log_of("small"))]
    assert values[0] < 1e-6
    assert np.allclose(np.diff(values), values[1], rtol=0.1)  # the same images, a share more of the truth each time


def test_a_folder_of_another_teacher_is_refused(taught, option_file):
    content, _ = taught
    content["train"]["teacher"]["cache"] = "made"
    launch.train(option_file(content))
    note = json.loads(Path("made/teacher.json").read_text())
    Path("made/teacher.json").write_text(json.dumps(note | {"teacher": "0" * 64}))
    content["name"] = "other"
    with pytest.raises(OptionError, match="another teacher"):
        launch.train(option_file(content))


def test_a_teacher_of_another_scale_is_refused(taught, option_file, tmp_path):
    content, _ = taught
    save_model(create_model("fast", 3, **SMALL), tmp_path / "x3.safetensors")
    content["train"]["teacher"]["path"] = "x3.safetensors"
    with pytest.raises(OptionError, match="upscales by 3, but the training's scale is 2"):
        launch.train(option_file(content))


def test_muon_goes_on_bit_for_bit(taught, option_file, tmp_path, monkeypatch):
    """With everything at once: Muon, cosine, teacher, FFT loss, hard patches."""
    content, _ = taught
    content["train"] |= {"total_iter": 6, "optim_g": {"type": "Muon", "lr": 0.01}, "fft_opt": {"loss_weight": 0.05}}
    content["datasets"]["train"]["patch_importance"] = 1.0
    content["logger"]["save_checkpoint_freq"] = 3
    file = option_file(content)
    launch.train(file)
    resumed = tmp_path / "resumed"
    for name in ("models/net_g_3.pth", "training_states/3.state"):
        (resumed / "experiments/small" / name).parent.mkdir(parents=True)
        shutil.copy(tmp_path / "experiments/small" / name, resumed / "experiments/small" / name)
    shutil.copy("teacher.safetensors", resumed)
    monkeypatch.chdir(resumed)
    launch.train(file, auto_resume=True)
    for name in ("models/net_g_6.pth", "training_states/6.state"):
        ours, theirs = (torch.load(folder / "experiments/small" / name) for folder in (tmp_path, resumed))
        ours.pop("spent", None), theirs.pop("spent", None)
        assert_equal(ours, theirs)


def assert_equal(a, b):
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list):
        for each in zip(a, b, strict=True):
            assert_equal(*each)
    else:
        assert a == b


def test_a_budget_of_hours_ends_a_training_and_its_cosine(taught, option_file):
    content, _ = taught
    content["train"] |= {"total_iter": None, "budget_hours": 0.5 / 3600}
    launch.train(option_file(content))
    rates = [float(rate) for rate in re.findall(r"lr (\S+)", log_of("small"))]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.3 * rates[0]
    assert "Training done" in log_of("small")
    state = max(Path("experiments/small/training_states").glob("*.state"), key=lambda path: int(path.stem))
    assert torch.load(state)["spent"] >= 0.5


@pytest.mark.parametrize(("ema_decay", "told"), [(0.999, "by 99 %: 6 iterations"), (0.4, None), (0, None)])
def test_an_average_that_is_mostly_the_start_is_said(taught, option_file, ema_decay, told):
    content, _ = taught
    content["train"] |= {"total_iter": 6, "ema_decay": ema_decay}
    launch.train(option_file(content))
    assert (told in log_of("small")) if told else ("are still those of the start" not in log_of("small"))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"budget_hours": 1}, "either total_iter or budget_hours"),
        ({"total_iter": None, "budget_hours": None}, "either total_iter or budget_hours"),
        ({"total_iter": None, "budget_hours": 1, "scheduler": {"type": "MultiStepLR", "milestones": [1]}}, "Cosine"),
        ({"optim_g": {"type": "Muon", "momentum": 2}}, "momentum"),
        ({"optim_g": {"type": "Moun"}}, "Did you mean 'Muon'"),
        ({"teacher": {"path": "nowhere.pt"}}, "nowhere.pt does not exist"),
        ({"teacher": {"path": "teacher.safetensors", "weight": 2}}, "weight"),
    ],
)
def test_wrong_options_are_named(taught, option_file, train, message):
    content, _ = taught
    content["train"] |= train
    with pytest.raises(OptionError, match=message):
        launch.train(option_file(content))
