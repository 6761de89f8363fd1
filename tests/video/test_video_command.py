"""`lsm upscale-video`: videos and numbered frames, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")

from clips import Bicubic, images, read_clip, write_clip  # noqa: E402

from lsm.cli import main  # noqa: E402
from lsm.errors import InputError  # noqa: E402
from lsm.image.io import read_image, write_image  # noqa: E402
from lsm.inference.upscaler import Upscaler  # noqa: E402
from lsm.version import install_command  # noqa: E402
from lsm.video.convert import upscale_video  # noqa: E402
from lsm.video.file import VideoFile  # noqa: E402
from lsm.weights import load_model  # noqa: E402


def run(capfd, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["upscale-video", *map(str, arguments), "--device", "cpu"])
    return int(left.value.code or 0), capfd.readouterr().err


def test_numbered_frames_to_frames_and_to_video(tmp_path, weights, capfd, caplog):
    given = images(12)
    (tmp_path / "in").mkdir()
    for number, pixels in enumerate(given):
        write_image(tmp_path / "in" / f"f{number}.png", pixels)
    upscaler = Upscaler(load_model(weights), device="cpu")
    code, said = run(capfd, tmp_path / "in", "-o", tmp_path / "out", "-n", weights)
    assert (code, "12 of 12 upscaled" in said) == (0, True)
    code, said = run(capfd, tmp_path / "in" / "f%d.png", "-o", tmp_path / "out", "-n", weights)
    assert (code, "12 skipped" in said) == (0, True)
    for number in (2, 10):
        np.testing.assert_array_equal(read_image(tmp_path / "out" / f"f{number}.png").pixels, upscaler(given[number]))
    options = ["-n", weights, "--codec", "ffv1", "--pixel-format", "bgr0", "--fps", "30000/1001"]
    for name, pattern in (("a.mkv", "in"), ("b.mkv", "in/f%d.png"), ("c.mkv", "in/*.png")):
        code, said = run(capfd, tmp_path / pattern, "-o", tmp_path / name, *options)
        assert code == 0, said
        frames, times = read_clip(tmp_path / name)
        for one, pixels in zip(frames, given, strict=True):  # f2 before f10
            np.testing.assert_array_equal(one, upscaler(pixels))
        assert [round(time * 1000) for time in times] == [round(number * 1001 / 30) for number in range(12)]
    (tmp_path / "in" / "f5.png").unlink()
    write_image(tmp_path / "in" / "f7.png", np.zeros((8, 8, 3), np.uint8))
    code, said = run(capfd, tmp_path / "in", "-o", tmp_path / "d.mp4", "-n", weights, "--fps", "25")
    assert code == 2
    assert "1 numbers between f0.png and f11.png are missing" in caplog.text
    assert "f7.png: is 8×8, the first frame is 32×24" in said


def test_the_codec_decides_between_clean_weights_and_those_for_photos(tmp_path, capfd):
    """Frames of a codec that loses detail look like JPEGs of middle quality, see docs/video.md."""
    given = images(2)
    lossy = write_clip(tmp_path / "lossy.mp4", given)
    exact = write_clip(tmp_path / "exact.mkv", given, codec="ffv1", pixel_format="bgr0")
    for clip, chosen, options in ((lossy, "photo-x4", []), (exact, "fast-x4", []), (lossy, "fast-x4", ["-n", "fast"])):
        code, said = run(capfd, clip, "-o", tmp_path / "out.mkv", "--codec", "ffv1", "--overwrite", *options)
        assert code == 0, said
        assert f", {chosen}, x4," in said and ("for compressed frames" in said) == (chosen == "photo-x4"), said
        assert VideoFile(clip).facts.lossy == (clip == lossy)


def _cut(path):
    """Its head is there, and says how long it would be."""
    whole = write_clip(path.with_name("whole.mkv"), images(50), options={"crf": "4", "g": "5"}, audio="aac")
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
            lambda path: path.write_bytes(write_clip(path.with_name("w.mp4"), images(9)).read_bytes()[:900]),
            "cut off or damaged",
        ),
        ("song.m4a", _sound_only, "holds no video stream"),
        ("none.mkv", _no_frames, "none.mkv: "),
        ("image.png", lambda path: write_image(path, images(1)[0]), "is an image"),
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
        source = write_clip(tmp_path / name, images(40, 48, 64))
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
        (["-o", "there.mp4"], "exists already; allow it to be replaced (overwrite)"),
        (["-o", "b.avi"], "video extension '.avi'"),
        (["-o", "folder"], "video extension ''"),
        (["-o", "b.mp4", "--codec", "libx246"], "Did you mean 'libx265'"),
        (["-o", "b.mp4", "--crf", "52"], "0 to 51"),
        (["-o", "b.mp4", "--preset", "quick"], "preset of libx264"),
        (["-o", "b.mp4", "--pixel-format", "nv12"], "pixel format of libx264"),
        (["-o", "b.mkv", "--codec", "ffv1", "--crf", "3"], "ffv1 takes none"),
        (["-o", "b.webm", "--audio", "drop"], "use another codec, or the extension .mkv"),
        (
            ["-o", "b.webm", "--codec", "libvpx-vp9"],
            "encode it anew (audio opus), use the extension .mp4 or .mov or .mkv",
        ),
        (["-o", "b.webm", "--codec", "libvpx-vp9", "--audio", "flac"], "cannot be written as flac into webm"),
        (["-o", "b.mp4", "--audio", "mp3"], "way with audio 'mp3'"),
        (["-o", "b.mp4", "--fps", "25"], "keeps its times"),
        (["-o", "b.mp4", "-t", "8"], "too small"),
    ],
)
def test_wrong_usage_is_one_line_and_touches_nothing(tmp_path, capfd, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    write_clip(Path("a.mp4"), images(3), audio="aac")
    Path("there.mp4").write_text("mine")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    code, error = run(capfd, "a.mp4", *arguments)
    assert code == 2
    assert said in error
    assert error.splitlines()[-1].startswith("lsm: error: ")
    assert "Traceback" not in error
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_sound_that_does_not_fit_can_be_dropped(tmp_path, capfd, weights):
    source = write_clip(tmp_path / "a.mp4", images(3), audio="aac")
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
    assert (code, error) == (2, f"lsm: error: Videos need PyAV and Python 3.11 or newer: {install_command('video')}.\n")
