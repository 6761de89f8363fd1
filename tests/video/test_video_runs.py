"""Runs over a video that are stopped, go on, begin anew, and what they take of the memory."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")

from clips import LOSSLESS, Bicubic, Repeat, images, read_clip, sound_packets, write_clip
from own_process import OwnProcess, run_in_process

from lsm.cli import main
from lsm.errors import OptionError
from lsm.inference.upscaler import Upscaler
from lsm.video.convert import upscale_video
from lsm.video.encoding import Encoding
from lsm.video.file import VideoFile
from lsm.video.segments import Segments
from lsm.weights import load_model


def upscale(*arguments):
    main(["upscale-video", *map(str, arguments)])


def test_it_goes_on_after_kill_9_to_the_same_frames(tmp_path, weights):
    source = write_clip(tmp_path / "a.mp4", images(60, 48, 64), audio="aac")
    command = (upscale, source, "-n", weights, "--device", "cpu", "--segment", "4", "-o")
    target = tmp_path / "b.mp4"
    folder = Segments(target).folder
    process = OwnProcess(*command, target, folder=tmp_path)
    while not (folder / "000001.safetensors").exists():
        assert process.is_alive(), process.output
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not target.exists()
    kept = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    with pytest.raises(OptionError, match="unfinished run with another encoding"):
        upscale_video(
            VideoFile(source), target, Upscaler(load_model(weights), device="cpu"), Encoding(crf=30), segment=4
        )
    assert kept == {file.name: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    again = run_in_process(*command, target, folder=tmp_path)
    assert f"Going on after frame {4 * len(kept)}" in again
    assert f"60 frames, {4 * len(kept)} of them from a run before" in again
    assert not folder.exists()
    whole = run_in_process(*command, tmp_path / "c.mp4", folder=tmp_path)
    assert "from a run before" not in whole
    first, second = read_clip(target), read_clip(tmp_path / "c.mp4")
    assert first[1] == second[1]
    np.testing.assert_array_equal(np.stack(first[0]), np.stack(second[0]))
    assert sound_packets(target) == sound_packets(source)


def test_an_interruption_and_a_full_disk_keep_what_is_finished(tmp_path, upscaler, monkeypatch):
    source = write_clip(tmp_path / "a.mp4", images(12))

    def stop(done, total):
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, LOSSLESS, segment=3, progress=stop)
    assert len(Segments(tmp_path / "b.mkv").files()) >= 1
    report = upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, LOSSLESS, segment=3)
    assert report.found >= 3
    assert len(read_clip(tmp_path / "b.mkv")[0]) == report.frames == 12

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lsm.video.segments.save", full)
    with pytest.raises(OSError, match="No space left"):
        upscale_video(VideoFile(source), tmp_path / "c.mkv", upscaler, LOSSLESS, segment=3)


def test_restart_begins_anew_and_an_automatic_tile_stays(tmp_path, upscaler, monkeypatch):
    settled = []
    monkeypatch.setattr(Upscaler, "max_tile", Upscaler.max_tile.setter(lambda self, tile: settled.append(tile)))
    source = write_clip(tmp_path / "a.mp4", images(4))
    segments = Segments(tmp_path / "b.mkv")

    def stop(done, total):
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, segment=2, progress=stop)
    plan = segments.folder / "plan.json"
    plan.write_text(plan.read_text().replace('"tile": 0', '"tile": 64'))
    with pytest.raises(KeyboardInterrupt):
        upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, segment=2, progress=stop)
    report = upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, segment=3, restart=True)
    assert settled == [0, 0, 64, 0]
    assert (report.frames, report.found) == (4, 0)


def test_restart_leaves_a_run_alone_that_is_under_way(tmp_path, upscaler):
    source = write_clip(tmp_path / "a.mp4", images(4))
    segments = Segments(tmp_path / "b.mkv")
    with segments.held():
        segments.begin({"chosen": {"tile": 0}}, restart=False)
    plan = segments.folder / "plan.json"
    hold = (
        "import sys, pathlib, lsm.files\n"
        "with lsm.files.only_process(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(segments.folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(OptionError, match="in use by another process"):
            upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, restart=True)
    assert plan.exists()


def test_an_automatic_tile_shrinks_where_memory_runs_out(tmp_path):
    class Small(Repeat):
        def forward(self, image):
            if image.shape[2] * image.shape[3] > 16**2:
                raise MemoryError
            return super().forward(image)

    source = write_clip(tmp_path / "a.mp4", images(3))
    upscaler = Upscaler(Small(), device="cpu")
    upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, LOSSLESS)
    made = read_clip(tmp_path / "b.mkv")[0]
    for one, frame in zip(made, VideoFile(source).frames(0), strict=True):
        np.testing.assert_array_equal(one, upscaler(frame.pixels))


def test_memory_is_bounded(tmp_path):
    source = write_clip(tmp_path / "a.mp4", images(80), options={"preset": "ultrafast"})
    alive, most, lock = set(), [0], threading.Lock()

    class Watching(VideoFile):
        def frames(self, first):
            for frame in super().frames(first):
                import weakref

                with lock:
                    alive.add(id(frame))
                    most[0] = max(most[0], len(alive))
                weakref.finalize(frame, alive.discard, id(frame))
                yield frame

    upscale_video(Watching(source), tmp_path / "b.mp4", Bicubic(), Encoding(preset="ultrafast"))
    assert most[0] <= 6
