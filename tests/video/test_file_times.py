"""Files whose clocks start late, below zero or anew, wrap, or are not there: what another reader finds then."""

import itertools
import os
from fractions import Fraction
from pathlib import Path

import pytest

av = pytest.importorskip("av", "18", reason="PyAV 18 (extra `video`) is not installed")


from clips import Bicubic, images, probe, read_clip, write_clip  # noqa: E402

from lsm.errors import OptionError  # noqa: E402
from lsm.video.convert import upscale_video  # noqa: E402
from lsm.video.encoding import Encoding  # noqa: E402
from lsm.video.file import VideoFile  # noqa: E402

FAST = Encoding(preset="ultrafast")
CLOCK = Fraction(1, 90000)
B_FRAMES = {"crf": "20", "bf": "2", "g": "10"}


def capture(path: Path, start: int = 0, count: int = 10, **more) -> Path:
    """An MPEG transport stream of 25 frames a second whose clock begins at `start`."""
    times = [start + 3600 * number for number in range(count)]
    return write_clip(path, images(count, 64, 96), times=times, time_base=CLOCK, options=B_FRAMES, **more)


def shown(path: Path) -> list[float]:
    """When frames are shown, by FFmpeg's own program."""
    frames = probe(path, "-show_frames", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time")
    return [float(frame["best_effort_timestamp_time"]) for frame in frames["frames"]]


def packet_times(path: Path) -> list[Fraction]:
    """When packets of audio are played."""
    with av.open(path) as container:
        return [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]


def joined(folder: Path) -> Path:
    parts = [capture(folder / "part.ts", audio="aac", seconds=0.3).read_bytes()] * 3
    (folder / "a.ts").write_bytes(b"".join(parts))
    return folder / "a.ts"


def far_ahead(folder: Path) -> Path:
    first, second = capture(folder / "p.ts").read_bytes(), capture(folder / "q.ts", 90000 * 3600).read_bytes()
    (folder / "a.ts").write_bytes(first + second)
    return folder / "a.ts"


def wraps(folder: Path) -> Path:
    return capture(folder / "a.ts", 2**33 - 5 * 3600 - 126000)


def below_zero(folder: Path) -> Path:
    return write_clip(
        folder / "a.mkv", images(10), times=[-400 + 40 * i for i in range(10)], time_base=Fraction(1, 1000)
    )


def no_pts(folder: Path) -> Path:
    return write_clip(folder / "a.avi", images(10, 64, 96), options=B_FRAMES, time_base=Fraction(1, 25))


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda folder: capture(folder / "a.ts", 36000 * 90000, audio="aac"), 10),
        (joined, 30),
        (far_ahead, 20),
        (wraps, 10),
        (below_zero, 10),
        (no_pts, 10),
    ],
    ids=["late", "joined", "far_ahead", "wraps", "below_zero", "no_pts"],
)
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_frames_are_40_ms_apart_from_the_start(tmp_path, caplog, make, count, ending):
    source, target = make(tmp_path), tmp_path / f"b{ending}"
    assert upscale_video(VideoFile(source), target, Bicubic(), FAST).frames == count
    times = read_clip(target)[1]
    steps = {round(1000 * (b - a)) for a, b in itertools.pairwise(times)}
    assert (len(times), steps) == (count, {40})
    assert times[0] < Fraction(7, 100)  # audio of 16 kHz has 64 ms before it
    assert not caplog.text
    with av.open(target) as container:
        assert container.duration / 1e6 == pytest.approx(count / 25, abs=0.16)  # audio of whole packets is longer
        if container.streams.audio:
            played = packet_times(target)
            assert all(0.062 < b - a < 0.085 for a, b in itertools.pairwise(played))  # as long as the frames
            assert len(played) == len(packet_times(source))
    assert shown(target) == pytest.approx([float(time) for time in times], abs=0.0011)


def test_what_cannot_be_muxed_is_known_before_the_first_frame(tmp_path, monkeypatch):
    source = capture(tmp_path / "a.ts", audio="aac")
    monkeypatch.setattr(Bicubic, "upscale_image", lambda *_: pytest.fail("a frame was computed"))
    video = VideoFile(source)
    for one in video.facts.companions.streams:
        one.shifts[3] += 10**15  # beyond the fifth packet
        one.shifts[4] -= 10**15
    with pytest.raises(OptionError, match="cannot hold these streams"):
        upscale_video(video, tmp_path / "b.mp4", Bicubic(), FAST)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ts"]


def test_lost_frames_are_told(tmp_path, caplog):
    source = capture(tmp_path / "a.ts", count=40)
    data = bytearray(source.read_bytes())
    for at in range(len(data) // 188 // 2 * 188, len(data), 188):
        if data[at + 1] & 0x40 and ((data[at + 1] & 0x1F) << 8 | data[at + 2]) == 0x100:  # a frame begins here
            del data[at : at + 188]
            break
    source.write_bytes(data)
    frames = VideoFile(source).facts.frames
    assert "is damaged, and taken as it is" in caplog.text
    assert f"{40 - frames} frames missing" in caplog.text


CASES = Path(os.environ.get("LSM_SHARED", "/nowhere")) / "cases" / "media"


@pytest.mark.skipif(not CASES.is_dir(), reason="the collection of odd files (LSM_SHARED) is not here")
@pytest.mark.parametrize(
    ("name", "frames", "seconds"),
    [("joined.ts", 20, 0.85), ("rep.ts", 20, 0.8), ("late.ts", 10, 0.44), ("t.ts", 50, 2.03), ("h264b.avi", 50, 2.04)],
)
def test_odd_files(tmp_path, name, frames, seconds):
    report = upscale_video(VideoFile(CASES / name), tmp_path / "b.mkv", Bicubic(), FAST)
    times = shown(tmp_path / "b.mkv")
    assert report.frames == len(times) == frames
    assert {round(b - a, 3) for a, b in itertools.pairwise(times)} == {0.04}
    assert float(probe(tmp_path / "b.mkv", "-show_format")["format"]["duration"]) == pytest.approx(seconds, abs=0.02)
