"""`lsm upscale --ray` on a Ray of two workers, one of which is killed; the rest without a cluster."""

import dataclasses
import os
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lsm.arch import build_preset
from lsm.batch.plan import Job
from lsm.batch.ray_cluster import Cluster
from lsm.batch.ray_worker import (
    ATTEMPTS,
    AttemptCounter,
    JobSpec,
    Outcome,
    Weights,
    Worker,
    build_upscaler,
    perform,
)
from lsm.batch.run import upscale_files
from lsm.cli import main
from lsm.errors import OptionError
from lsm.image.io import read_rgb, write_image
from lsm.inference.options import UpscaleOptions
from lsm.inference.upscaler import Upscaler
from lsm.weights import embedded_path, save_model

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

OPTIONS = UpscaleOptions(device="cpu")


def weights() -> Weights:
    file = embedded_path("tiny-x2")
    return Weights(file.name, file.read_bytes(), "sr")


def image(path: Path, height: int = 20, width: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8))
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["upscale", *map(str, arguments), "-n", "tiny-x2", "--device", "cpu"])
    return int(left.value.code or 0)


def kill_a_worker(folder: Path, killed: list[int]) -> None:
    """Wait for the first output and kill one of the actors that make the others."""
    deadline = time.monotonic() + 300
    while not killed and time.monotonic() < deadline:
        time.sleep(0.02)
        if not any(folder.glob("*.png")):
            continue
        for process in Path("/proc").glob("[0-9]*"):
            try:
                name = (process / "cmdline").read_bytes()
                owner = process.stat().st_uid
            except OSError:  # ended meanwhile
                continue
            if name.startswith(b"ray::MapWorker") and owner == os.getuid():
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(int(process.name))
                return


@pytest.mark.skipif(sys.platform != "linux", reason="the workers are found in /proc")
def test_a_killed_actor_loses_nothing_and_the_bytes_are_those_of_a_local_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray makes a file in the home folder
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    for number in range(8):
        image(Path("in", f"{number}.png"), 150 + number, 150)
    Path("in/bad.png").write_bytes(b"no image")
    assert run("in", "-o", "local") == 1
    said_locally = capfd.readouterr().err
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, object_store_memory=80_000_000, logging_level="error"
    )
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(Path("ray"), killed), daemon=True)
    killer.start()
    try:
        assert run("in", "-o", "ray", "--ray") == 1
    finally:
        ray.shutdown()
    said = capfd.readouterr().err
    assert killed
    assert {path.name: path.read_bytes() for path in Path("local").iterdir()} == {
        path.name: path.read_bytes() for path in Path("ray").iterdir()
    }
    assert len(list(Path("ray").iterdir())) == 8
    assert said.splitlines()[-2:] == said_locally.splitlines()[-2:]  # "8 of 9 upscaled; 1 failed." and bad.png
    assert "tiny-x2, x2, tiles of at most" in said


def local_worker(monkeypatch: pytest.MonkeyPatch, spec: JobSpec) -> Worker:
    """An actor without Ray: calls happen here and now."""

    class Handle:
        def __init__(self, attempts: AttemptCounter) -> None:
            self.spec = type("Method", (), {"remote": staticmethod(attempts.spec)})
            self.begin = type("Method", (), {"remote": staticmethod(attempts.begin)})

    monkeypatch.setattr(ray, "get", lambda value: value)
    return Worker(Handle(AttemptCounter(spec)))


def job_spec(jobs: list[Job], **changes: Any) -> JobSpec:
    options: dict[str, Any] = {
        "options": OPTIONS, "weights": weights(), "photo": None, "tile": 64, "note": "n", "max_pixels": 10**6,
        "folder": str(Path.cwd()), "token": None, "threads": 1,
    }  # fmt: skip
    return JobSpec(jobs, **(options | changes))


def test_each_image_chooses_its_network_on_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_preset("tiny", 2, embed_dim=16, depths=(2,), d_state=2, num_heads=2, split_size=(4, 8))
    save_model(network, tmp_path / "other.safetensors")
    other = Weights("other.safetensors", (tmp_path / "other.safetensors").read_bytes(), "sr")
    noisy, clean = image(tmp_path / "noisy.png", 24, 24), tmp_path / "clean.png"
    write_image(clean, np.full((24, 24, 3), 90, np.uint8))
    jobs = [Job(path, tmp_path / "out" / path.name) for path in (noisy, clean)]
    worker = local_worker(monkeypatch, job_spec(jobs, photo=other))
    assert "taken for photo: noise" in worker({"index": 0})["text"]
    assert "taken for clean" in worker({"index": 1})["text"]
    for path, model in ((noisy, network), (clean, "tiny-x2")):
        expected = Upscaler(model, device="cpu", scale=2)(read_rgb(path))
        np.testing.assert_array_equal(read_rgb(tmp_path / "out" / path.name), expected)


def test_a_image_that_kills_its_worker_each_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(image(tmp_path / "a.png"), tmp_path / "b.png", replace=True)
    worker = local_worker(monkeypatch, job_spec([job]))
    answers = [worker({"index": 0}) for _ in range(ATTEMPTS + 1)]
    assert [answer["kind"] for answer in answers] == ["done"] * ATTEMPTS + ["failed"]
    assert f"a.png: its worker was killed {ATTEMPTS} times" in answers[-1]["text"]


def test_a_worker_that_sees_other_files_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(image(tmp_path / "a.png"), tmp_path / "b.png")
    answer = local_worker(monkeypatch, job_spec([job], token=tmp_path / "none"))({"index": 0})
    assert answer["kind"] == "failed"
    assert "does not see the folder" in answer["text"]
    answer = local_worker(monkeypatch, job_spec([job], folder=str(tmp_path / "nowhere")))({"index": 0})
    assert "does not see the folder" in answer["text"]
    assert not job.target.exists()


def test_a_worker_that_cannot_begin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(image(tmp_path / "a.png"), tmp_path / "b.png")
    answer = local_worker(monkeypatch, job_spec([job], weights=Weights("x.safetensors", b"none")))({"index": 0})
    assert answer["kind"] == "failed"
    assert "a.png: no upscaler" in answer["text"]
    assert "CheckpointError" in answer["text"]


def test_what_a_killed_worker_wrote_is_told_from_what_others_wrote(tmp_path: Path) -> None:
    job = Job(image(tmp_path / "a.png"), tmp_path / "b.png")
    upscaler = build_upscaler(weights(), OPTIONS)
    assert upscale_files([job], upscaler, note="n").exit_code == 0
    before = job.target.stat().st_mtime_ns
    assert perform(job, upscaler, "n", 10**6) == Outcome("done", f"{job.target}  written before its worker was killed")
    assert job.target.stat().st_mtime_ns == before
    job.target.write_bytes(b"another's")
    for skip, kind in ((False, "failed"), (True, "skipped")):
        outcome = perform(dataclasses.replace(job, skip=skip), upscaler, "n", 10**6)
        assert outcome.kind == kind
        assert "another run has made it" in outcome.text
    assert job.target.read_bytes() == b"another's"


def test_a_cluster_counts_as_a_run_here_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "b.png").write_bytes(b"another's")
    jobs = [
        Job(tmp_path / "a.gif", tmp_path / "out" / "a.png"),
        Job(image(tmp_path / "c.png"), tmp_path / "b.png", skip=True),
        Job(tmp_path / "b.png", tmp_path / "out" / "b.png"),
    ]
    here = upscale_files(jobs, build_upscaler(weights(), OPTIONS))
    (tmp_path / "out" / "a.png").unlink()
    worker = local_worker(monkeypatch, job_spec(jobs))
    cluster = object.__new__(Cluster)
    cluster.options, cluster.weights, cluster.photo, cluster.threads, cluster._tile = OPTIONS, weights(), None, 1, 64
    monkeypatch.setattr(cluster, "_rows", lambda spec: (worker({"index": index}) for index in range(len(spec.jobs))))
    there = cluster.upscale_files(jobs, note="n", max_pixels=10**6)
    assert [len(jobs) for jobs in (there.done, there.skipped, there.failed, there.animated)] == [1, 1, 1, 1]
    assert (there.done, there.skipped, there.failed, there.animated) == (
        here.done, here.skipped, here.failed, here.animated,
    )  # fmt: skip


def test_an_address_is_told_from_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(address: str) -> None:
        asked.append(address)
        raise OptionError("no cluster")

    monkeypatch.setattr("lsm.batch.ray_cluster.connect", refuse)
    source = image(tmp_path / "a.png")
    for before, after in (("--ray", source), (source, "--ray"), (source, "--ray=local")):
        assert run(before, after, "-o", tmp_path / "out") == 2
    assert run(source, "--ray", "10.0.0.1:6379", "-o", tmp_path / "out") == 2
    assert asked == ["auto", "auto", "local", "10.0.0.1:6379"]


def test_ray_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(image(tmp_path / "a.png"), "-o", tmp_path / "out", "--ray") == 2
    said = capfd.readouterr().err
    assert "[ray]" in said
    assert said.count("\n") == 1


def test_options_of_a_cluster_need_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(image(tmp_path / "a.png"), "--ray-cpus", 2) == 2
    assert "--ray-cpus is for --ray" in capfd.readouterr().err
