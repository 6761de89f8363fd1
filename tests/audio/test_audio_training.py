import json

import numpy as np
import pytest
import torch

from lsm.audio import training
from lsm.audio.checkpoint import load_denoiser
from lsm.audio.losses import denoising_loss
from lsm.audio.training import TrainOptions, datasets, learning_rate, train
from lsm.cli import main
from lsm.errors import CheckpointError, OptionError

TINY = {"window": 64, "hop": 32, "d_model": 8, "d_state": 4}


def options(out, **changes):
    base = {
        "kind": "causal",
        "settings": TINY,
        "simple": 1.0,
        "seconds": 0.25,
        "batch": 2,
        "epochs": 3,
        "epoch_steps": 2,
    }
    return TrainOptions(**{"out": out, **base, **changes})


@pytest.fixture(autouse=True)
def _few_validation_signals(monkeypatch):
    monkeypatch.setattr(training, "VALIDATION_SIGNALS", 18)  # a batch and a part of one


def parameters(folder):
    return load_denoiser(folder / "best.safetensors").network.state_dict()


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    whole = train(options(tmp_path / "whole"))
    run = training._Run(options(tmp_path / "parts"))
    run.validate(0, run.train_epoch(0))
    assert train(options(tmp_path / "parts", resume=True)) == whole
    lines = [(tmp_path / name / "history.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    for first, second in zip(*lines, strict=True):
        a, b = json.loads(first), json.loads(second)
        assert (a["loss"], a["si_sdr"], a["lr"]) == (b["loss"], b["si_sdr"], b["lr"])
    for name, tensor in parameters(tmp_path / "whole").items():
        assert torch.equal(tensor, parameters(tmp_path / "parts")[name])
    assert (tmp_path / "whole" / "spectrograms.png").stat().st_size > 1000


def test_training_lowers_the_loss(tmp_path):
    train(options(tmp_path / "run", epochs=3, epoch_steps=4, rate_peak=1e-2))
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]


def test_it_stops_when_nothing_gets_better(tmp_path):
    train(options(tmp_path / "run", epochs=9, epoch_steps=1, rate_peak=0.0, patience=2))
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 3


def test_runs_are_not_mixed_up(tmp_path):
    train(options(tmp_path / "run", epochs=1, epoch_steps=1))
    with pytest.raises(OptionError, match="`resume`"):
        train(options(tmp_path / "run"))
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train(options(tmp_path / "other", resume=True))
    with pytest.raises(CheckpointError, match="Cannot resume"):
        train(options(tmp_path / "run", resume=True, settings={**TINY, "d_model": 10}))
    with pytest.raises(OptionError, match="clean"):
        datasets(options(tmp_path / "x", noisy=tmp_path))


def test_a_two_way_network_begins_from_a_causal_one(tmp_path):
    train(options(tmp_path / "causal", epochs=1))
    begin = str(tmp_path / "causal" / "best.safetensors")
    run = training._Run(options(tmp_path / "both", kind="bidirectional", init=begin))
    for name, tensor in parameters(tmp_path / "causal").items():
        assert torch.equal(run.network.one_way.state_dict()[name], tensor)
    train(options(tmp_path / "trained", kind="bidirectional", init=begin, epochs=1))
    assert not load_denoiser(tmp_path / "trained" / "best.safetensors").causal
    with pytest.raises(CheckpointError, match="another network"):
        training._Run(options(tmp_path / "other", kind="unet", settings={"features": [4]}, init=begin))


def test_learning_rate_rises_and_falls():
    rates = [learning_rate(step, 1000, 1e-3) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-5)
    assert max(rates) == rates[99] == pytest.approx(1e-3)
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[-1] < 1e-8


def test_loss_is_lower_for_better_estimates():
    clean = torch.randn(2, 4000)
    noise = torch.randn(2, 4000)
    losses = [denoising_loss(clean + level * noise, clean).item() for level in (0.0, 0.01, 0.1, 1.0)]
    assert losses == sorted(losses)
    silence = torch.zeros(2, 4000, requires_grad=True)
    denoising_loss(silence, torch.zeros(2, 4000)).backward()
    assert silence.grad.isfinite().all()


def test_command(tmp_path, capsys):
    arguments = ["denoise-train", "--out", str(tmp_path / "run"), "--network", "causal", "--settings", json.dumps(TINY)]
    arguments += ["--seconds", "0.25", "--batch", "2", "--epochs", "1", "--epoch-steps", "1", "--simple", "1"]
    main_code([*arguments, "--tensorboard"], 0)
    assert "Best validation SI-SDR" in capsys.readouterr().out
    assert list((tmp_path / "run").glob("events.out.tfevents*"))
    main_code(arguments, 2)
    main_code([*arguments[:-2], "--snr", "loud"], 2)
    assert "0..20" in capsys.readouterr().err


def main_code(arguments, code):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == code
