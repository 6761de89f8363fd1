import runpy
import subprocess
import sys
import time

import pytest
import yaml
from small_training import REPOSITORY, environment

from lsm.training.packed_state import unpack

SCRIPT = REPOSITORY / "scripts" / "train_together.py"


def test_trainings_run_beside_each_other_and_one_that_fails_is_named(tmp_path, content, option_file):
    good = option_file(content | {"name": "good", "train": content["train"] | {"total_iter": 2}})
    good = good.rename(tmp_path / "good.yml")
    bad = tmp_path / "bad.yml"
    bad.write_text(yaml.safe_dump(content | {"name": "bad", "scale": 7}), encoding="utf-8")
    command = [sys.executable, str(SCRIPT), str(good), str(bad), "--pack", "states"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 2, done.stderr
    assert "bad.log" in done.stderr and "good.log" not in done.stderr and "Traceback" not in done.stderr
    assert "scale" in (tmp_path / "experiments" / "bad.log").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "states").iterdir()] == ["good.tar.xz"]
    run = unpack(tmp_path / "states" / "good.tar.xz", tmp_path / "elsewhere")
    assert (run / "training_states" / "2.state").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process that is sent SIGTERM at once")
def test_what_runs_at_the_deadline_is_asked_to_stop():
    wait = runpy.run_path(str(SCRIPT))["_wait"]
    saves = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(1, flush=True)"
    saves += "; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", saves], stdout=subprocess.PIPE)
    process.stdout.readline()
    wait({"run": process}, time.monotonic())
    assert process.returncode == 7
    process.stdout.close()
