from pathlib import Path

import numpy as np
import pytest
import yaml
from own_process import OwnProcess, run_in_process, run_script

from lsm.ablation import runs
from lsm.ablation.plan import Run, list_runs, read_plan
from lsm.ablation.runs import read_curve, train_all
from lsm.cli import main
from lsm.errors import InputError
from lsm.image.io import write_image
from lsm.training import launch
from lsm.training.curves import CurveWriter

REPOSITORY = Path(__file__).parents[2]


def test_a_training_by_hours_has_no_number_of_iterations():
    run = Run("a", 0, "r", {"train": {"budget_hours": 0.5}})
    assert (run.length, run.weights.name) == ("0.5 hours", "net_g_latest.pth")


def test_a_curve_counts_what_a_resumed_run_repeated_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run("a", 0, "r", {"train": {"total_iter": 9}})
    run.folder.mkdir(parents=True)
    with pytest.raises(InputError, match=r"curves\.jsonl: no curve of l_pix"):
        read_curve(run)
    for iteration, loss, seconds in ((3, 0.5, 0.2), (6, 0.4, 0.3)):
        CurveWriter(run.folder).training(iteration, {"l_pix": loss, "l_fft": 1.0}, 1e-4, seconds)
    resumed = CurveWriter(run.folder)
    resumed.validation(6, "Set5", {"psnr": 30.0})
    for iteration, loss, seconds in ((6, 0.25, 0.4), (9, 0.125, 0.9)):
        resumed.training(iteration, {"l_pix": loss, "l_fft": 1.0}, 1e-4, seconds)
    assert read_curve(run) == ({3: 0.5, 6: 0.25, 9: 0.125}, 0.4)  # the median of 0.2, 0.4 and 0.9 s


class StartedTraining:
    """`start_training` without a start of the interpreter."""

    def __init__(self, option_file, log, threads):
        self.log, environment = log, {"OMP_NUM_THREADS": str(threads)}
        command = ["train", "-opt", str(option_file), "--auto_resume"]
        self.process = OwnProcess(main, command, folder=Path.cwd(), environment=environment)

    def wait(self):
        code = self.process.wait()
        self.log.write_text(self.process.output)
        return code


def test_a_failing_training_is_named_and_finished_ones_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "start_training", StartedTraining)
    good = Run("a", 0, "good", {"train": {"total_iter": 9}})
    good.weights.parent.mkdir(parents=True)
    good.weights.write_bytes(b"as it is")
    bad = Run("b", 0, "bad", {"name": "bad", "train": {"total_iter": 9}})
    with pytest.raises(InputError, match=r"1 trainings failed.*bad\.log"):
        train_all([good, bad], tmp_path / "report")
    assert good.weights.read_bytes() == b"as it is"
    assert "lsm: error:" in (tmp_path / "report" / "bad.log").read_text()


def test_the_script_trains_compares_and_goes_on_where_it_was(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for index in range(3):
        for folder in ("train", "Set5/HR"):
            path = tmp_path / folder / f"im{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, np.uint8(np.cumsum(rng.integers(0, 4, (24, 28, 3)), axis=1)))
    network = {"type": "LSM", "variant": "tiny", "embed_dim": 8, "depths": [2], "d_state": 2, "split_size": [4, 8]}
    options = {
        "name": "base",
        "scale": 2,
        "num_gpu": 0,
        "datasets": {"train": {"dataroot_gt": "train", "gt_size": 8, "batch_size": 1, "num_worker_per_gpu": 0}},
        "network_g": network,
        "train": {
            "total_iter": 2,
            "optim_g": {"type": "AdamW", "lr": 1e-3},
            "scheduler": {"type": "MultiStepLR", "milestones": [1]},
        },
        "logger": {"print_freq": 1},
    }
    plan = {"name": "p", "options": "options.yml", "reference": "a", "seeds": [0], "sets": ["Set5"]}
    plan["variants"] = {"a": {}, "b": {"network_g": {"recurrence": {"transition": "gate"}}}}
    for name, content in (("options.yml", options), ("plan.yml", plan)):
        (tmp_path / name).write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    done = list_runs(read_plan(Path("plan.yml")))[0]
    Path("done.yml").write_text(yaml.safe_dump(done.options))
    launch.train("done.yml")
    command = (REPOSITORY / "scripts" / "ablate.py", "plan.yml", "--data", ".")
    first = run_in_process(run_script, *command, folder=tmp_path)
    assert "1 of 2 trainings are finished" in first
    again = run_in_process(run_script, *command, folder=tmp_path)
    assert "2 of 2 trainings are finished" in again
    table = (tmp_path / "results" / "ablate-p" / "table.md").read_text()
    assert table.count("\n| ") == 2
    assert table in first and table in again
