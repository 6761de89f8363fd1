"""`lsm upscale-video`: frames, times, colours, sound, and runs that are stopped."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

av = pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")

from clips import COLOUR_BARS, bars, lag, pictures, read_clip, sound_packets, write_clip  # noqa: E402

from lsm.arch import create_model  # noqa: E402
from lsm.cli import main  # noqa: E402
from lsm.errors import InputError, OptionError  # noqa: E402
from lsm.inference.image_io import read_image, write_image  # noqa: E402
from lsm.inference.upscaler import Upscaler  # noqa: E402
from lsm.video.convert import upscale_video  # noqa: E402
from lsm.video.encoding import Encoding  # noqa: E402
from lsm.video.file import VideoFile  # noqa: E402
from lsm.video.segments import Segments  # noqa: E402
from lsm.weights import load_model, save_model  # noqa: E402

LOSSLESS = Encoding("ffv1", pixel_format="bgr0")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small-x2.safetensors"
    save_model(create_model("tiny", scale=2, embed_dim=16, depths=(2,), d_state=2, num_heads=2), path)
    return path


@pytest.fixture
def upscaler(weights):
    return Upscaler(load_model(weights), device="cpu")


def run(capfd, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["upscale-video", *map(str, arguments), "--device", "cpu"])
    return int(left.value.code or 0), capfd.readouterr().err


def test_frames_are_those_of_the_upscaler_and_the_sound_is_copied(tmp_path, upscaler):
    source = write_clip(tmp_path / "a.mp4", pictures(20), audio="aac", pixel_format="yuv444p", matrix=6)
    frames = [frame.pixels for frame in VideoFile(source).frames(0)]
    reference, times = read_clip(source)
    assert np.abs(np.stack(frames).astype(int) - np.stack(reference)).max() <= 1
    report = upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, LOSSLESS, segment=6)
    assert (report.width, report.height, report.frames, report.found) == (64, 48, 20, 0)
    made, made_times = read_clip(tmp_path / "b.mkv")
    for one, pixels in zip(made, frames, strict=True):
        np.testing.assert_array_equal(one, upscaler(pixels))
    # Matroska knows no times before zero, where AAC begins; so picture and sound move together.
    assert [one - made_times[0] for one in made_times] == times
    assert lag(tmp_path / "b.mkv") == pytest.approx(lag(source), abs=0.001)
    assert sound_packets(tmp_path / "b.mkv") == sound_packets(source)
    with av.open(tmp_path / "b.mkv") as container:
        assert container.metadata["title"] == "Clip"
        assert container.streams.audio[0].metadata["language"] == "deu"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mkv"]


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.mov"])
def test_uneven_times_survive(tmp_path, upscaler, name):
    units = [0, 512, 700, 3000, 3001, 9000, 12800, 12900, 20000, 20512]
    source = write_clip(tmp_path / "a.mp4", pictures(10), times=units)
    upscale_video(VideoFile(source), tmp_path / name, upscaler, segment=4)
    _, times = read_clip(tmp_path / name)
    assert read_clip(source)[1] == [Fraction(unit, 12800) for unit in units]
    if name == "b.mkv":  # Matroska counts milliseconds
        assert all(
            abs(time - Fraction(unit, 12800)) <= Fraction(1, 2000) for time, unit in zip(times, units, strict=True)
        )
    else:
        assert times == [Fraction(unit, 12800) for unit in units]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(60)])
def test_the_rate_survives(tmp_path, upscaler, rate):
    time_base = Fraction(1, rate.numerator)
    source = write_clip(tmp_path / "a.mp4", pictures(7), rate=rate, time_base=time_base)
    upscale_video(VideoFile(source), tmp_path / "b.mp4", upscaler, segment=3)
    assert read_clip(tmp_path / "b.mp4")[1] == [number / rate for number in range(7)]
    with av.open(tmp_path / "b.mp4") as container:
        assert container.streams.video[0].average_rate == rate
        assert container.streams.video[0].duration * container.streams.video[0].time_base == 7 / rate


@pytest.mark.parametrize(("matrix", "primaries"), [(1, 1), (6, 6), (5, 5), (9, 9)])
@pytest.mark.parametrize("range_", [1, 2])
def test_colours_and_their_tags_survive(tmp_path, upscaler, matrix, primaries, range_):
    source = write_clip(
        tmp_path / "a.mp4", [bars()] * 3, matrix=matrix, range_=range_, tags=(primaries, 1), pixel_format="yuv444p"
    )
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), Encoding(crf=4))
    with av.open(tmp_path / "b.mp4") as container:
        context = container.streams.video[0].codec_context
        stated = context.colorspace, context.color_range, context.color_primaries, context.color_trc
        assert [int(number) for number in stated] == [matrix, range_, primaries, 1]
        assert context.pix_fmt in ("yuv420p", "yuvj420p")
    for image in read_clip(tmp_path / "b.mp4")[0]:
        middles = image[image.shape[0] // 2, 8::16].astype(int)
        assert np.abs(middles - COLOUR_BARS).max() <= 4


@pytest.mark.parametrize(("height", "matrix"), [(24, 6), (720, 1)])
def test_a_matrix_that_is_not_stated_is_what_players_take(tmp_path, height, matrix):
    source = write_clip(tmp_path / "a.mp4", [bars(height)] * 2, matrix=2)
    assert VideoFile(source).facts.colours.matrix == matrix
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic())
    with av.open(tmp_path / "b.mp4") as container:
        assert int(container.streams.video[0].codec_context.colorspace) == matrix


class Bicubic(Upscaler):
    """Enlarges without a network, for tests of what is around it."""

    def __init__(self):
        super().__init__(_Repeat(), device="cpu", tile=0)


class _Repeat(torch.nn.Module):
    def __init__(self):
        super().__init__()
        from types import SimpleNamespace

        self.config = SimpleNamespace(upscale=2, tile_multiple=8)

    def forward(self, image):
        return image.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_ten_bits_stay_ten_bits(tmp_path):
    gradient = np.linspace(0, 65535, 64 * 32).reshape(32, 64, 1).repeat(3, 2).astype(np.uint16)
    source = write_clip(tmp_path / "a.mp4", [gradient] * 3, pixel_format="yuv420p10le", matrix=9, tags=(9, 16))
    facts = VideoFile(source).facts
    assert (facts.deep, facts.colours.transfer) == (True, 16)
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), Encoding(crf=1))
    with av.open(tmp_path / "b.mp4") as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    frame = read_clip(tmp_path / "b.mp4")[0][1]
    assert np.abs(frame[::2, ::2].astype(int) - gradient).mean() < 65535 / 400
    with pytest.raises(OptionError, match="more than 8 bits"):
        upscale_video(VideoFile(source), tmp_path / "c.webm", Bicubic(), Encoding("libvpx-vp9"))


def test_rotation_is_applied(tmp_path):
    image = pictures(1)[0]
    source = write_clip(tmp_path / "a.mp4", [image] * 2, rotation=90, aspect=Fraction(4, 3), pixel_format="yuv444p")
    data = source.read_bytes()
    matrix = struct.unpack(">9i", data[(head := data.index(b"tkhd") + 4 + 40) : head + 36])
    clockwise = matrix[1] > 0  # x of the stored picture becomes y downwards
    upscale_video(VideoFile(source), tmp_path / "b.mp4", Bicubic(), Encoding(crf=1, pixel_format="yuv444p"))
    with av.open(tmp_path / "b.mp4") as container:
        assert next(container.decode(video=0)).rotation == 0
        assert container.streams.video[0].sample_aspect_ratio == Fraction(3, 4)
    expected = np.rot90(image, -1 if clockwise else 1).repeat(2, 0).repeat(2, 1)
    assert np.abs(read_clip(tmp_path / "b.mp4")[0][0].astype(int) - expected).mean() < 4


def test_odd_sizes_are_padded_by_their_last_row_and_column(tmp_path, weights):
    source = write_clip(tmp_path / "a.mp4", [bars(25, 40)[:, :35]] * 2, pixel_format="yuv444p")
    upscaler = Upscaler(load_model(weights), device="cpu", scale=3)
    report = upscale_video(VideoFile(source), tmp_path / "b.mp4", upscaler)
    assert (report.width, report.height) == (106, 76)
    frame = read_clip(tmp_path / "b.mp4")[0][0].astype(int)
    assert np.abs(frame[:, -1] - frame[:, -2]).mean() < 4


@pytest.mark.parametrize(
    ("codec", "name"), [("libx265", "b.mp4"), ("libsvtav1", "b.mkv"), ("libvpx-vp9", "b.webm"), ("ffv1", "b.mkv")]
)
def test_other_codecs(tmp_path, codec, name):
    source = write_clip(tmp_path / "a.mp4", pictures(9, 64, 64), matrix=1)
    upscale_video(VideoFile(source), tmp_path / name, Bicubic(), Encoding(codec), segment=4)
    made, times = read_clip(tmp_path / name)
    assert [round(time * 1000) for time in times] == [40 * number for number in range(9)]
    for one, pixels in zip(made, read_clip(source)[0], strict=True):
        assert np.abs(one[::2, ::2].astype(int) - pixels).mean() < 16


def test_it_goes_on_after_kill_9_to_the_same_frames(tmp_path, weights):
    source = write_clip(tmp_path / "a.mp4", pictures(60, 48, 64), audio="aac")
    code = "import torch; torch.set_num_threads(1); from lsm.cli import main; main()"
    command = [sys.executable, "-c", code, "upscale-video", str(source), "-n", str(weights), "--device", "cpu"]
    command += ["--segment", "4", "-o"]
    target = tmp_path / "b.mp4"
    folder = Segments(target).folder
    process = subprocess.Popen([*command, str(target)], stderr=subprocess.DEVNULL)
    while not (folder / "000001.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL) if os.name != "nt" else process.kill()
    process.wait()
    assert not target.exists()
    kept = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    with pytest.raises(OptionError, match="unfinished run with another encoding"):
        upscale_video(
            VideoFile(source), target, Upscaler(load_model(weights), device="cpu"), Encoding(crf=30), segment=4
        )
    assert kept == {file.name: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    again = subprocess.run([*command, str(target)], capture_output=True, text=True, check=True)
    assert f"Going on after frame {4 * len(kept)}" in again.stderr
    assert f"60 frames, {4 * len(kept)} of them from a run before" in again.stderr
    assert not folder.exists()
    whole = subprocess.run([*command, str(tmp_path / "c.mp4")], capture_output=True, text=True, check=True)
    assert "from a run before" not in whole.stderr
    first, second = read_clip(target), read_clip(tmp_path / "c.mp4")
    assert first[1] == second[1]
    np.testing.assert_array_equal(np.stack(first[0]), np.stack(second[0]))
    assert sound_packets(target) == sound_packets(source)


def test_an_interruption_and_a_full_disk_keep_what_is_finished(tmp_path, upscaler, monkeypatch):
    source = write_clip(tmp_path / "a.mp4", pictures(12))

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
    source = write_clip(tmp_path / "a.mp4", pictures(4))
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
    source = write_clip(tmp_path / "a.mp4", pictures(4))
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
    class Small(_Repeat):
        def forward(self, image):
            if image.shape[2] * image.shape[3] > 16**2:
                raise MemoryError
            return super().forward(image)

    source = write_clip(tmp_path / "a.mp4", pictures(3))
    upscaler = Upscaler(Small(), device="cpu")
    upscale_video(VideoFile(source), tmp_path / "b.mkv", upscaler, LOSSLESS)
    made = read_clip(tmp_path / "b.mkv")[0]
    for one, frame in zip(made, VideoFile(source).frames(0), strict=True):
        np.testing.assert_array_equal(one, upscaler(frame.pixels))


def test_memory_is_bounded(tmp_path):
    source = write_clip(tmp_path / "a.mp4", pictures(80), options={"preset": "ultrafast"})
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


def test_numbered_frames_to_frames_and_to_video(tmp_path, weights, capfd, caplog):
    images = pictures(12)
    (tmp_path / "in").mkdir()
    for number, pixels in enumerate(images):
        write_image(tmp_path / "in" / f"f{number}.png", pixels)
    upscaler = Upscaler(load_model(weights), device="cpu")
    code, said = run(capfd, tmp_path / "in", "-o", tmp_path / "out", "-n", weights)
    assert (code, "12 of 12 upscaled" in said) == (0, True)
    code, said = run(capfd, tmp_path / "in" / "f%d.png", "-o", tmp_path / "out", "-n", weights)
    assert (code, "12 skipped" in said) == (0, True)
    for number in (2, 10):
        np.testing.assert_array_equal(read_image(tmp_path / "out" / f"f{number}.png").pixels, upscaler(images[number]))
    options = ["-n", weights, "--codec", "ffv1", "--pixel-format", "bgr0", "--fps", "30000/1001"]
    for name, pattern in (("a.mkv", "in"), ("b.mkv", "in/f%d.png"), ("c.mkv", "in/*.png")):
        code, said = run(capfd, tmp_path / pattern, "-o", tmp_path / name, *options)
        assert code == 0, said
        frames, times = read_clip(tmp_path / name)
        for one, pixels in zip(frames, images, strict=True):  # f2 before f10
            np.testing.assert_array_equal(one, upscaler(pixels))
        assert [round(time * 1000) for time in times] == [round(number * 1001 / 30) for number in range(12)]
    (tmp_path / "in" / "f5.png").unlink()
    write_image(tmp_path / "in" / "f7.png", np.zeros((8, 8, 3), np.uint8))
    code, said = run(capfd, tmp_path / "in", "-o", tmp_path / "d.mp4", "-n", weights, "--fps", "25")
    assert code == 2
    assert "1 numbers between f0.png and f11.png are missing" in caplog.text
    assert "f7.png: is 8×8, the first frame is 32×24" in said


def _cut(path):
    """Its head is there, and says how long it would be."""
    whole = write_clip(path.with_name("whole.mkv"), pictures(50), options={"crf": "4", "g": "5"}, audio="aac")
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])


def _sound_only(path):
    with av.open(path, "w") as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _no_frames(path):
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        output.start_encoding()


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("text.mp4", lambda path: path.write_text("no video\n" * 100), "not a video"),
        ("empty.mp4", lambda path: path.write_bytes(b""), "not a video"),
        ("list.m3u8", lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\n/etc/hostname\n"), "list.m3u8: "),
        ("cut.mkv", _cut, "is cut off"),
        (
            "head.mp4",
            lambda path: path.write_bytes(write_clip(path.with_name("w.mp4"), pictures(9)).read_bytes()[:900]),
            "cut off or damaged",
        ),
        ("song.m4a", _sound_only, "holds no video stream"),
        ("none.mkv", _no_frames, "none.mkv: "),
        ("picture.png", lambda path: write_image(path, pictures(1)[0]), "is a picture"),
        ("missing.mp4", lambda path: None, "no such file"),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path, capfd, name, make, said):
    make(tmp_path / name)
    before = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else None
    names = sorted(path.name for path in tmp_path.iterdir())
    code, error = run(capfd, tmp_path / name, "-o", tmp_path / "out.mp4")
    assert code == 2
    assert said in error
    assert name in error
    assert error.startswith("lsm: error: ") and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert before == ((tmp_path / name).read_bytes() if before is not None else None)


def test_damage_is_said(tmp_path, caplog):
    for name in ("a.mp4", "a.mkv"):
        source = write_clip(tmp_path / name, pictures(40, 48, 64))
        data, length = bytearray(source.read_bytes()), 300 if name == "a.mp4" else 8
        data[len(data) // 2 : len(data) // 2 + length] = bytes(index % 251 for index in range(length))
        source.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.mp4: damaged after frame \d+"):  # the sizes of packets are hit
        upscale_video(VideoFile(tmp_path / "a.mp4"), tmp_path / "b.mp4", Bicubic())
    assert not (tmp_path / "b.mp4").exists()
    report = upscale_video(VideoFile(source), tmp_path / "b.mkv", Bicubic())
    assert report.frames == 40
    assert "is damaged, and taken as it is" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "a.mp4"], "is the input"),
        (["-o", "a.mp4", "--overwrite"], "is the input"),
        (["-o", "there.mp4"], "exists already; use --overwrite"),
        (["-o", "b.avi"], "video extension '.avi'"),
        (["-o", "folder"], "video extension ''"),
        (["-o", "b.mp4", "--codec", "libx246"], "Did you mean 'libx265'"),
        (["-o", "b.mp4", "--crf", "52"], "0 to 51"),
        (["-o", "b.mp4", "--preset", "quick"], "preset of libx264"),
        (["-o", "b.mp4", "--pixel-format", "nv12"], "pixel format of libx264"),
        (["-o", "b.mkv", "--codec", "ffv1", "--crf", "3"], "it is lossless"),
        (["-o", "b.webm"], "extension .mkv"),
        (["-o", "b.webm", "--codec", "libvpx-vp9"], "--audio drop"),
        (["-o", "b.mp4", "--audio", "mp3"], "neither copy nor drop"),
        (["-o", "b.mp4", "--fps", "25"], "keeps its times"),
        (["-o", "b.mp4", "-t", "8"], "too small"),
    ],
)
def test_wrong_usage_is_one_line_and_touches_nothing(tmp_path, capfd, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    write_clip(Path("a.mp4"), pictures(3), audio="aac")
    Path("there.mp4").write_text("mine")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    code, error = run(capfd, "a.mp4", *arguments)
    assert code == 2
    assert said in error
    assert error.splitlines()[-1].startswith("lsm: error: ")
    assert "Traceback" not in error
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_sound_that_does_not_fit_can_be_dropped(tmp_path, capfd, weights):
    source = write_clip(tmp_path / "a.mp4", pictures(3), audio="aac")
    options = ["--codec", "libvpx-vp9", "--audio", "drop", "-n", weights]
    code, said = run(capfd, source, "-o", tmp_path / "b.webm", *options)
    assert code == 0, said
    assert "b.webm  64×48, 3 frames" in said
    with av.open(tmp_path / "b.webm") as container:
        assert not container.streams.audio
    code, said = run(capfd, source, "-o", tmp_path / "b.webm", *options, "--overwrite", "--crf", "40")
    assert code == 0, said


def test_without_pyav_18_one_line_says_what_to_install(monkeypatch, capfd):
    monkeypatch.setattr("av.__version__", "17.1.0")
    code, error = run(capfd, "a.mp4", "-o", "b.mp4")
    assert (code, error.count("\n"), "18 or newer, not 17.1.0" in error) == (2, 1, True)
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "av.logging", raising=False)
    code, error = run(capfd, "a.mp4", "-o", "b.mp4")
    assert (code, error) == (2, "lsm: error: Videos need PyAV and Python 3.11 or newer: pip install 'lsm-sr[video]'.\n")
